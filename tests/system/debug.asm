; SPDX-License-Identifier: GPL-2.0-or-later
; Single step, breakpoints, RF, DR6 and DR7. SDM 3B 17.2 and 17.3, 3A 6.8.3.
%include "common.inc"

%define BS      0x4000
%define BD      0x2000
%define DR6     0xe00f

%macro step 0                           ; the next instruction begins with TF
        push    dword 0x102
        popfd
%endmacro
%macro clear_dr6 0
        xor     eax, eax
        mov     dr6, eax
%endmacro
%macro set_dr7 1
        mov     eax, %1
        mov     dr7, eax
%endmacro
%macro no_dr7 0
        xor     eax, eax
        mov     dr7, eax
%endmacro
%macro dr0_at 1
        mov     eax, %1
        mov     dr0, eax
%endmacro

main:
        case    'TF: after the instruction behind POPF'
        clear_dr6
        try
        step
        nop
here_tf:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_tf
        is      seen_flags, 0x102
        is      seen_handler_flags, 0, 0x100
        is      seen_dr6, BS, DR6
        case    'TF: a fault comes instead'
        try
        step
here_tf1:
        ud2
        tried
        is      seen_vector, 6
        is      seen_ip, here_tf1
        is      seen_flags, 0x10102
        case    'TF: set by IRET'
        try
        push    dword 0x102
        push    dword KCODE
        push    dword here_tf2
        iretd
here_tf2:
        nop
here_tf3:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_tf3
        case    'TF: POPF that clears it still traps'
        try
        push    dword 2
        step
        popfd
here_tf4:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_tf4
        is      seen_flags, 2
        case    'TF: a branch'
        try
        step
        jmp     here_tf5
        nop
here_tf5:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_tf5
        case    'TF: a call through a register'
        mov     ebx, here_tf6
        try
        step
        call    ebx
here_tf6:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_tf6
        case    'TF: each iteration of REP'
        mov     esi, SCRATCH
        mov     edi, SCRATCH + 64
        mov     ecx, 3
        cld
        try
        step
here_rep:
        rep     movsd
        tried
        is      seen_vector, 1
        is      seen_ip, here_rep
        is      seen_ecx, 2
        is      seen_edi, SCRATCH + 68
        is      seen_flags, 0x10102
        case    'TF: the last iteration of REP'
        mov     ecx, 1
        try
        step
        rep     stosb
here_rep2:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_rep2
        is      seen_flags, 0x102
        case    'TF: not behind INT n'
        try
        step
        int     END
        tried
        is      seen_vector, END
        is      seen_flags, 0x102
        case    'TF: not at the first instruction of a handler'
        gate    idt_entry(0x81), KCODE, abs(here_int), 0x8e
        try
        step
        int     0x81
here_int:
        nop
        nop
        mov     esp, [resume_sp]
        tried
        is      seen_vector, NOTHING
        restore_gate 0x81
        case    'TF: MOV SS holds it back for one instruction'
        mov     ax, ss
        try
        step
        mov     ss, ax
        nop
here_ss:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_ss
        case    'TF: POP SS'
        try
        push    ss
        step
        pop     ss
        nop
here_ss2:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_ss2
        case    'TF: HLT is left'
        try
        step
        hlt
here_hlt:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_hlt
        case    'TF at level 3'
        mov     dword [user_flags], 0x102
        try
        to_user
        nop
here_user:
        nop
        tried
        mov     dword [user_flags], 2
        is      seen_vector, 1
        is      seen_ip, here_user
        is      seen_cs, UCODE

        case    'Code breakpoint: a fault, RF clear in its image'
        clear_dr6
        dr0_at  here_bp
        set_dr7 0x402                   ; G0, execution
        try
        nop
here_bp:
        inc     ebx
        tried
        is      seen_vector, 1
        is      seen_ip, here_bp
        is      seen_flags, 0, 0x10000
        is      seen_dr6, 1, DR6
        case    'RF: the breakpoint is passed once'
        dr0_at  here_rf0
        try
        push    dword 0x10002
        push    dword KCODE
        push    dword here_rf0
        iretd
here_rf0:
        nop
        tried
        is      seen_vector, NOTHING
        case    'RF: not by POPF'
        dr0_at  here_rf1
        try
        push    dword 0x10002
        popfd
here_rf1:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_rf1
        case    'RF holds for one instruction'
        dr0_at  here_rf2
        try
        push    dword 0x10002
        push    dword KCODE
        push    dword here_rf
        iretd
here_rf:
        nop
here_rf2:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_rf2
        case    'Code breakpoint: not behind MOV SS'
        dr0_at  here_shadow
        mov     ax, ss
        try
        mov     ss, ax
here_shadow:
        nop
        tried
        is      seen_vector, NOTHING
        case    'Code breakpoint: before a fault of the instruction'
        dr0_at  here_bpud
        try
here_bpud:
        ud2
        tried
        is      seen_vector, 1
        case    'Code breakpoint: L bit, DR3'
        clear_dr6
        mov     eax, here_bp3
        mov     dr3, eax
        set_dr7 0x440
        try
here_bp3:
        nop
        tried
        is      seen_vector, 1
        is      seen_dr6, 8, DR6
        case    'Code breakpoint: off'
        set_dr7 0x400
        fine    jmp here_off
here_off:
        no_dr7
        case    'Code breakpoint and a REP instruction: once'
        dr0_at  here_bprep
        set_dr7 0x402
        mov     ecx, 2000
        mov     edi, PLAY
        try
        push    dword 0x10002
        push    dword KCODE
        push    dword here_bprep
        iretd
here_bprep:
        rep     stosb
        tried
        is      seen_vector, NOTHING
        no_dr7

        case    'Data breakpoint: write, a trap'
        clear_dr6
        dr0_at  SCRATCH
        set_dr7 0xd0402                 ; write, 4 bytes
        try
        mov     [SCRATCH], ebx
here_w:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_w
        is      seen_flags, 0, 0x10000
        is      seen_dr6, 1, DR6
        case    'Data breakpoint: write, not read'
        fine    mov eax, [SCRATCH]
        case    'Data breakpoint: overlap'
        try
        mov     [SCRATCH + 3], bl
        nop
        tried
        is      seen_vector, 1
        try
        mov     [SCRATCH - 2], ebx
        nop
        tried
        is      seen_vector, 1
        case    'Data breakpoint: beside'
        fine    mov [SCRATCH + 4], ebx
        fine    mov [SCRATCH - 4], ebx
        case    'Data breakpoint: push, string, exchange'
        try
        mov     esp, SCRATCH + 4
        push    eax
        nop
        tried
        is      seen_vector, 1
        mov     edi, SCRATCH
        try
        stosd
        nop
        tried
        is      seen_vector, 1
        try
        xchg    [SCRATCH], eax
        nop
        tried
        is      seen_vector, 1
        try
        lock inc dword [SCRATCH]
        nop
        tried
        is      seen_vector, 1
        case    'Data breakpoint: in the middle of REP'
        mov     edi, SCRATCH - 8
        mov     ecx, 5
        try
here_bprep2:
        rep     stosd
        tried
        is      seen_vector, 1
        is      seen_ecx, 2
        is      seen_ip, here_bprep2
        case    'Data breakpoint: read or write'
        set_dr7 0xf0402
        try
        mov     eax, [SCRATCH]
here_rw:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_rw
        case    'Data breakpoint: a byte'
        set_dr7 0x30402
        fine    mov al, [SCRATCH + 1]
        try
        mov     al, [SCRATCH]
        nop
        tried
        is      seen_vector, 1
        case    'Data breakpoint: a fault has none'
        dr0_at  SCRATCH
        set_dr7 0xf0402
        try
        div     dword [SCRATCH + 8]     ; zero
        tried
        is      seen_vector, 0
        case    'Data breakpoint on MOV SS: behind the next instruction'
        clear_dr6
        no_dr7
        mov     dword [SCRATCH], KDATA
        set_dr7 0xf0402
        try
        mov     ss, [SCRATCH]
        nop
here_bpss:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_bpss
        is      seen_dr6, 1, DR6
        case    'Data breakpoint and single step together'
        clear_dr6
        try
        step
        mov     eax, [SCRATCH]
        nop
        tried
        is      seen_vector, 1
        is      seen_dr6, BS | 1, DR6
        no_dr7

        case    'I/O breakpoint with DE'
        mov     eax, cr4
        or      al, 8
        mov     cr4, eax
        clear_dr6
        dr0_at  PORT_LATCH + 4
        set_dr7 0x20402
        mov     edx, PORT_LATCH + 4
        try
        out     dx, al
here_io:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_io
        is      seen_dr6, 1, DR6
        try
        in      al, dx
here_io2:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_io2
        case    'I/O breakpoint: another port'
        mov     edx, PORT_LATCH + 5
        fine    out dx, al
        no_dr7

        case    'DE: DR4 and DR5 are #UD'
        faults  6, NO_ERROR, db 0x0f, 0x21, 0xe0 ; MOV EAX, DR4
        faults  6, NO_ERROR, db 0x0f, 0x23, 0xe8 ; MOV DR5, EAX
        mov     eax, cr4
        and     al, ~8
        mov     cr4, eax
        case    'Without DE they are DR6 and DR7'
        db      0x0f, 0x21, 0xe8        ; MOV EAX, DR5
        reg_is  eax, 0x400

        case    'GD: access to a debug register'
        clear_dr6
        set_dr7 0x2400
        faults  1, NO_ERROR, mov eax, dr0
        is      seen_dr6, BD, DR6
        is      seen_flags, 0x10000, 0x10000
        case    'GD is cleared on the way into the handler'
        mov     eax, dr7
        reg_is  eax, 0x400
        case    'DR6, DR7: reserved bits'
        xor     eax, eax
        mov     dr6, eax
        mov     eax, dr6
        reg_is  eax, 0xffff0ff0
        mov     eax, 0x0fff0000
        mov     dr7, eax
        mov     eax, dr7
        reg_is  eax, 0x0fff0400
        no_dr7
        case    'DR0-3 keep all bits'
        mov     eax, 0xdeadbeef
        mov     dr1, eax
        xor     eax, eax
        mov     eax, dr1
        reg_is  eax, 0xdeadbeef
        ret
