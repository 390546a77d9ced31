; SPDX-License-Identifier: GPL-2.0-or-later
; Interrupts, NMI, INIT; the shadow of STI and MOV SS; code that changes itself. SDM 3A 6.7, 6.8,
; 10.4.
%include "common.inc"

%macro raise 2                          ; port, value
        mov     al, %2
        out     %1, al
%endmacro

main:
        in      al, PORT_PRESENT
        cmp     al, 0x5a
        je      .go
        ret
.go:
        case    'Interrupt: between two instructions'
        try
        sti
        nop
        raise   PORT_INTR, 0x31
here_intr:
        nop
        tried
        is      seen_vector, 0x31
        is      seen_error, NO_ERROR
        is      seen_ip, here_intr
        is      seen_flags, 0x202, 0x10302
        is      seen_handler_flags, 0, 0x200
        case    'Interrupt: not without IF'
        try
        raise   PORT_INTR, 0x31
        nop
        nop
        raise   PORT_INTR, 0
        tried
        is      seen_vector, NOTHING
        case    'Interrupt: STI holds it back for one instruction'
        try
        raise   PORT_INTR, 0x31
        sti
        nop
here_sti:
        nop
        tried
        is      seen_vector, 0x31
        is      seen_ip, here_sti
        case    'STI, CLI: no interrupt between'
        try
        raise   PORT_INTR, 0x31
        sti
        cli
        nop
        raise   PORT_INTR, 0
        tried
        is      seen_vector, NOTHING
        case    'STI with IF set has no shadow'
        try
        sti
        nop
        sti
        raise   PORT_INTR, 0x31
here_sti2:
        nop
        tried
        is      seen_ip, here_sti2
        case    'POPF has none'
        try
        raise   PORT_INTR, 0x31
        push    dword 0x202
        popfd
here_popf:
        nop
        tried
        is      seen_vector, 0x31
        is      seen_ip, here_popf
        case    'MOV SS holds it back'
        mov     cx, ss
        try
        raise   PORT_INTR, 0x31
        push    ss
        push    dword 0x202
        sti
        mov     ss, cx                  ; in the shadow of STI
        nop
here_ss:
        nop
        tried
        is      seen_vector, 0x31
        is      seen_ip, here_ss
        case    'HLT: an interrupt ends it'
        try
        raise   PORT_INTR, 0x32
        sti
        hlt
here_hlt:
        nop
        tried
        is      seen_vector, 0x32
        is      seen_ip, here_hlt
        case    'Interrupt: EXT in the error code'
        gate    idt_entry(0x31), KCODE, abs(stubs32), 0x0e
        try
        sti
        nop
        raise   PORT_INTR, 0x31
here_ext:
        nop
        tried
        is      seen_vector, 11
        is      seen_error, 0x31 * 8 + 3
        is      seen_ip, here_ext
        restore_gate 0x31
        case    'Interrupt: the DPL of its gate does not matter'
        mov     dword [user_flags], 0x3202
        try
        to_user
        raise   PORT_INTR, 0x31
        nop
        tried
        mov     dword [user_flags], 2
        is      seen_vector, 0x31
        is      seen_cs, UCODE

        case    'NMI: without IF'
        try
        raise   PORT_NMI, 0
here_nmi:
        nop
        tried
        is      seen_vector, 2
        is      seen_ip, here_nmi
        is      seen_error, NO_ERROR
        case    'NMI: blocked until IRET'
        try
        raise   PORT_NMI, 0             ; still blocked from the case before
        nop
        mov     ecx, 1
        push    dword 2
        push    dword KCODE
        push    dword here_nmi2
        iretd
here_nmi2:
        mov     ecx, 2
        tried
        is      seen_vector, 2
        is      seen_ip, here_nmi2
        is      seen_ecx, 1
        case    'NMI: a faulting IRET ends the block too'
        try
        raise   PORT_NMI, 0
        mov     ecx, 5
        push    dword 2
        push    dword 0x200
        push    dword 0
here_nmi3:
        iretd
        tried
        is      seen_ecx, 5             ; not before IRET
        fine    nop
        case    'An interrupt is taken while NMIs are blocked'
        push    dword 2
        push    dword KCODE
        push    dword here_nmi4
        iretd
here_nmi4:
        mov     dword [result], 0
        try
        raise   PORT_INTR, 0x33
        sti
        raise   PORT_NMI, 0
        nop
        tried
        is      seen_vector, 0x33      
        push    dword 2
        push    dword KCODE
        push    dword here_nmi5
        try
        iretd
here_nmi5:
        nop
        tried
        is      seen_vector, NOTHING
        case    'Interrupt in the middle of REP: RF in its image'
        mov     esi, SCRATCH
        mov     edx, PORT_INTR
        mov     word [SCRATCH], 0x3434
        mov     ecx, 2
        cld
        try
        sti
        nop
here_rep:
        rep     outsb
        tried
        is      seen_vector, 0x34
        is      seen_ecx, 1
        is      seen_ip, here_rep
        is      seen_flags, 0x10202
        raise   PORT_INTR, 0

        ; code
        case    'The next instruction is written by the one before'
        mov     byte [here_smc], 0x90
        mov     ecx, 1
        mov     byte [here_smc], 0x41   ; INC ECX
here_smc:
        nop
        reg_is  ecx, 2
        case    'Code in a loop that changes'
        xor     eax, eax
        mov     ecx, 3
here_smc2:
        add     eax, 1
        inc     byte [here_smc2 + 2]
        loop    here_smc2
        reg_is  eax, 1 + 2 + 3
        case    'An instruction across pages, its second half changes'
        mov     byte [PLAY + 0xfff], 0xb8 ; MOV EAX, imm32; RET
        mov     dword [PLAY + 0x1000], 0x11111111
        mov     byte [PLAY + 0x1004], 0xc3
        mov     ebx, PLAY + 0xfff
        call    ebx
        reg_is  eax, 0x11111111
        mov     dword [PLAY + 0x1000], 0x22222222
        call    ebx
        reg_is  eax, 0x22222222
        case    'Code written by a string instruction'
        mov     edi, PLAY + 0x2000
        mov     ebx, edi
        mov     al, 0x90
        mov     ecx, 16
        rep     stosb
        mov     byte [edi], 0xc3
        call    ebx
        mov     edi, ebx
        mov     al, 0x40                ; INC EAX
        mov     ecx, 16
        rep     stosb
        xor     eax, eax
        call    ebx
        reg_is  eax, 16

        case    'INIT: registers; memory and CD stay'
        mov     dword [result], 0x5a5a
        mov     byte [cold], 0
        fninit
        fld1
        mov     eax, cr0
        and     eax, ~0x60000000
        mov     cr0, eax
        mov     eax, 0xd000
        mov     dr0, eax
        try
        mov     ebx, 0x1234
        raise   PORT_INIT, 0
        nop
        tried
        is      seen_vector, SHUTDOWN   ; came by way of the reset vector
        is      result, 0x5a5a
        mov     eax, cr0
        reg_is  eax, 0x11
        mov     eax, dr0
        reg_is  eax, 0
        case    'INIT: the FPU keeps its registers'
        fstp    dword [SCRATCH]
        is      SCRATCH, 0x3f800000
        ret
