; SPDX-License-Identifier: GPL-2.0-or-later
; Long mode: interrupts, IST, far transfers, call gates, IRET, canonical addresses, compatibility
; mode, SYSCALL and SYSENTER, CR8, FSGSBASE, PCID. SDM 3A 5.8, 6.14; SDM 2.
%include "common.inc"
%include "long.inc"

%define NONCANONICAL    0x800000000000

main:
        call    enter_long
        bits    64
        case    'INT n from level 3: frame'
        mov     qword [user_flags], 0x202
        try
        to_user64
        mov     r8, rsp
        int     END
here_int:
        tried
        is      seen_vector, END
        is      seen_ip, here_int
        is      seen_cs, UCODE64
        is      seen_ss, UDATA
        is      seen_sp, USTACK
        is      seen_flags, 0x202
        is      seen_handler_sp, ISTACK
        is      seen_handler_ss, 0      ; null at level 0
        is      seen_handler_flags, 2, 0x302
        mov     qword [user_flags], 2
        case    'Same level: SS:RSP is pushed too, the stack aligned'
        try
        mov     rsp, KSTACK - 0x1005
        int     END
        tried
        is      seen_sp, KSTACK - 0x1005
        is      seen_ss, KDATA
        is      seen_handler_sp, (KSTACK - 0x1005) & ~15
        is      seen_handler_ss, KDATA
        case    'IST'
        mov     qword [tss + 36 + 8], ISTACK - 0x800
        gate64  0x81, KCODE64, abs(stubs64) + 0x81 * 16, 0xee, 2
        try
        int     0x81
        tried
        is      seen_vector, 0x81
        is      seen_handler_sp, ISTACK - 0x800
        is      seen_sp, 0x7f000, 0xfff000 - 0x1000
        case    'IST from level 3'
        try
        to_user64
        int     0x81
        tried
        is      seen_handler_sp, ISTACK - 0x800
        is      seen_cs, UCODE64
        case    'IST: not canonical is #SS(0)'
        mov     rax, NONCANONICAL + 0x1000
        mov     [tss + 36 + 8], rax
        faults  12, 0, int 0x81
        restore_gate64 0x81
        case    'RSP0 not canonical is #DF by way of #SS'
        mov     rax, NONCANONICAL + 0x1000
        mov     [tss + 4], rax
        mov     qword [tss + 36], ISTACK - 0xc00
        gate64  8, KCODE64, abs(stubs64) + 8 * 16, 0x8e, 1
        gate64  12, KCODE64, abs(stubs64) + 12 * 16, 0x8e, 1
        try
        to_user64
here_rsp0:
        int     END
        tried
        is      seen_vector, 12
        is      seen_error, 0
        is      seen_ip, here_rsp0
        try
        to_user64
        ud2
        tried
        is      seen_vector, 12
        is      seen_error, 1, 0        ; EXT may be set
        mov     qword [tss + 4], ISTACK
        restore_gate64 8
        restore_gate64 12
        case    'Gates: types, presence, code segment'
        gate64  0x81, KCODE64, abs(stubs64), 0x85, 0
        faults  13, 0x81 * 8 + 2, int 0x81
        gate64  0x81, KCODE64, abs(stubs64), 0x86, 0
        faults  13, 0x81 * 8 + 2, int 0x81
        gate64  0x81, KCODE64, abs(stubs64), 0x0e, 0
        faults  11, 0x81 * 8 + 2, int 0x81
        gate64  0x81, KCODE, abs(stubs64), 0x8e, 0
        faults  13, KCODE, int 0x81     ; not 64-bit
        gate64  0x81, 0, abs(stubs64), 0x8e, 0
        faults  13, 0, int 0x81
        gate64  0x81, KCODE64, abs(stubs64), 0x8e, 0
        user64_faults 13, 0x81 * 8 + 2, int 0x81
        case    'Gates: offset not canonical'
        gate64  0x81, KCODE64, abs(stubs64), 0x8e, 0
        mov     dword [IDT64 + 0x81 * 16 + 8], 0x8000
        faults  13, 0, int 0x81
        restore_gate64 0x81
        case    'IDT limit'
        mov     word [SCRATCH], 0x81 * 16 + 14
        mov     qword [SCRATCH + 2], IDT64
        lidt    [SCRATCH]
        faults  13, 0x81 * 8 + 2, int 0x81
        lidt    [idtr64]
        case    'Instructions that 64-bit mode has not'
        faults  6, NO_ERROR, db 0x06    ; PUSH ES
        faults  6, NO_ERROR, db 0x60    ; PUSHA
        faults  6, NO_ERROR, db 0x27    ; DAA
        faults  6, NO_ERROR, db 0xd5, 10 ; AAD
        faults  6, NO_ERROR, db 0xce    ; INTO
        faults  6, NO_ERROR, db 0x9a, 0, 0, 0, 0, KCODE64, 0
        faults  6, NO_ERROR, db 0xea, 0, 0, 0, 0, KCODE64, 0

        case    'Canonical: #GP, #SS'
        mov     rbx, NONCANONICAL
        faults  13, 0, mov eax, [rbx]
        faults  13, 0, mov [rbx], eax
        faults  13, 0, movups xmm0, [rbx]
        faults  13, 0, lgdt [rbx]
        mov     rbp, NONCANONICAL
        faults  12, 0, mov eax, [rbp]
        faults  12, 0, mov [rbp], eax
        case    'Canonical: the last byte counts'
        mov     rbx, NONCANONICAL - 4
        faults  13, 0, mov rax, [rbx]
        mov     rbp, NONCANONICAL - 4
        faults  12, 0, mov rax, [rbp]
        gate64  12, KCODE64, abs(stubs64) + 12 * 16, 0x8e, 1
%macro bad_stack 1+
        case    'Not canonical: #SS by ', %str(%1)
        mov     rbx, SCRATCH
        try
        mov     rsp, NONCANONICAL + 0x100
%%at:   %1
        mov     esp, [resume_sp]
        tried
        is      seen_vector, 12
        is      seen_error, 0
        is      seen_ip, %%at
        is      seen_sp, NONCANONICAL + 0x100
%endmacro
        bad_stack push rax
        bad_stack push qword [rbx]
        bad_stack pop rax
        bad_stack pop qword [rbx]
        bad_stack call rbx
        bad_stack call qword [rbx]
        bad_stack ret
        bad_stack pushfq
        bad_stack popfq
        bad_stack iretq
        restore_gate64 12
        case    'Canonical: code falls off the end of the lower half'
%define LAST_LARGE      0x200000        ; physical: the 2 MiB below 2^47, and below 2^32
        mov     qword [PML4 + 255 * 8], PDPT + 7
        mov     qword [PDPT + 511 * 8], PD + 7
        mov     qword [PDPT + 3 * 8], PD + 7
        mov     qword [PD + 511 * 8], LAST_LARGE + 0x87
        mov     rax, cr3
        mov     cr3, rax
        mov     dword [LAST_LARGE + 0x1ffffc], 0x06ff06ff ; inc dword [rsi]
        mov     qword [SCRATCH], 0
        try
        mov     esi, SCRATCH
        mov     rcx, NONCANONICAL - 4
        jmp     rcx
        tried
        is      seen_vector, 13
        is      seen_error, 0
        is      seen_ip, NONCANONICAL
        is      SCRATCH, 2
        case    'Canonical: an instruction begins below the end of the lower half'
        mov     qword [SCRATCH], 0
        mov     dword [LAST_LARGE + 0x1ffffc], 0x8b06ff90 ; nop, inc, mov
        try
        mov     esi, SCRATCH
        mov     rcx, NONCANONICAL - 4
        jmp     rcx
        tried
        is      seen_vector, 13
        is      seen_ip, NONCANONICAL - 1
        is      SCRATCH, 1
        case    'Canonical: a branch leads over the end of the lower half'
        mov     dword [LAST_LARGE + 0x1ffffc], 0x02eb06ff ; jmp over two more
        mov     qword [SCRATCH], 0
        try
        mov     esi, SCRATCH
        mov     rcx, NONCANONICAL - 4
        jmp     rcx
        tried
        is      seen_vector, 13
        is      seen_ip, NONCANONICAL - 2
        is      SCRATCH, 1
        case    'Canonical: a call leads over the end of the lower half'
        mov     dword [LAST_LARGE + 0x1ffff8], 0x10e890 ; at 9: call over 16 more
        mov     dword [LAST_LARGE + 0x1ffffc], 0x90900000
        mov     qword [SCRATCH], 0
        try
        mov     rsp, KSTACK - 0x1000
        mov     rcx, NONCANONICAL - 8
        jmp     rcx
        tried
        is      seen_vector, 13
        is      seen_ip, NONCANONICAL - 7
        is      seen_sp, KSTACK - 0x1000
        case    'Compatibility mode: code goes on at 0 behind 4 GiB'
        mov     dword [LAST_LARGE + 0x1ffffc], 0x06ff06ff
        mov     qword [SCRATCH], 0
        mov     rax, [0]
        push    rax
        mov     dword [0], END << 24 | 0xcd06ff ; inc dword [esi]; int END
        try
        to_compat
        mov     esi, SCRATCH
        mov     ecx, -4
        jmp     ecx
        bits    64
        tried
        is      seen_vector, END
        is      seen_ip, 4
        is      SCRATCH, 3
        pop     rax
        mov     [0], rax
        mov     qword [PML4 + 255 * 8], 0
        mov     qword [PDPT + 511 * 8], 0
        mov     qword [PDPT + 3 * 8], 0
        mov     rax, cr3
        mov     cr3, rax
        case    'Canonical: branches fault themselves'
        mov     rbx, NONCANONICAL
        faults  13, 0, jmp rbx
        try
        mov     rsp, KSTACK - 0x1000
here_call:
        call    rbx
        tried
        is      seen_vector, 13
        is      seen_ip, here_call
        is      seen_sp, KSTACK - 0x1000
        push    rbx
        mov     rbp, rsp
        try
here_ret:
        ret
        tried
        is      seen_vector, 13
        is      seen_ip, here_ret
        is      seen_sp, KSTACK - 0x8, 0
        pop     rbx
        mov     [SCRATCH], rbx
        faults  13, 0, jmp [SCRATCH]
        faults  13, 0, call [SCRATCH]
        case    'Canonical: MSRs, descriptor tables, segment bases'
        mov     ecx, 0xc0000082         ; LSTAR
        xor     eax, eax
        mov     edx, 0x8000
        faults  13, 0, wrmsr
        mov     ecx, 0xc0000100         ; FS base
        faults  13, 0, wrmsr
        mov     word [SCRATCH], 0xfff
        mov     [SCRATCH + 2], rbx
        faults  13, 0, lidt [SCRATCH]
        case    'INVLPG of such an address does nothing'
        fine    invlpg [rbx]

        case    'MOV DS, SS: null'
        xor     eax, eax
        fine    mov ds, ax
        fine    mov ss, ax              ; at level 0
        mov     eax, KDATA
        mov     ss, ax
        mov     ds, ax
        mov     eax, 3
        user64_faults 13, 0, mov ss, ax
        case    'A null DS, and limits, do not matter'
        xor     eax, eax
        mov     ds, ax
        mov     es, ax
        fine    mov eax, [SCRATCH]
        desc    T0, 0, 0xf, P | DATA, SMALL32
        mov     eax, T0
        mov     ds, ax
        fine    mov eax, [SCRATCH]
        mov     eax, KDATA
        mov     ds, ax
        mov     es, ax
        case    'FS and GS have a base'
        msr     0xc0000100, 0x123456789
        mov     rdi, SCRATCH - 0x123456789
        mov     dword [SCRATCH], 0x600df00d
        mov     eax, [fs:rdi]
        reg_is  rax, 0x600df00d
        case    'MOV FS loads the base of the descriptor'
        desc    T0, SCRATCH, 0xfffff, P | DATA, FLAT
        mov     eax, T0
        mov     fs, ax
        mov     ecx, 0xc0000100
        rdmsr
        reg_is  rax, SCRATCH
        case    'SWAPGS'
        msr     0xc0000101, 0x1111
        msr     0xc0000102, 0x2222
        swapgs
        mov     ecx, 0xc0000101
        rdmsr
        reg_is  rax, 0x2222
        mov     ecx, 0xc0000102
        rdmsr
        reg_is  rax, 0x1111
        user64_faults 13, 0, swapgs
        case    'FSGSBASE'
        faults  6, NO_ERROR, rdfsbase rax
        cr_set  cr4, 0x10000
        mov     rbx, 0xffff800000001234
        wrgsbase rbx
        rdgsbase rcx
        reg_is  rcx, 0xffff800000001234
        rdgsbase ecx
        reg_is  rcx, 0x1234
        mov     rbx, NONCANONICAL
        faults  13, 0, wrfsbase rbx
        user64_fine rdfsbase rax
        mov     ecx, UCODE
        try
        to_compat
        db      0xf3, 0x0f, 0xae, 0xc0  ; RDFSBASE EAX
        int     END
        bits    64
        tried
        is      seen_vector, 6
        cr_clear cr4, 0x10000

        case    'IRET: to the same level, null SS'
        try
        push    0
        push    KSTACK - 0x1000
        push    2
        push    KCODE64
        push    here_iret
        iretq
here_iret:
        mov     r8, rsp
        int     END
        tried
        is      seen_vector, END
        is      seen_r8, KSTACK - 0x1000
        is      seen_ss, 0
%macro iret_faults 5                    ; vector, error, RIP, CS, SS
        try
        push    %5
        push    USTACK
        push    2
        push    %4
        mov     rax, %3
        push    rax
%%at:   iretq
        tried
        is      seen_vector, %1
        is      seen_error, %2
        is      seen_ip, %%at
%endmacro
        case    'IRET: CS'
        iret_faults 13, 0, 0, 0, KDATA
        iret_faults 13, 0x200, 0, 0x200, KDATA
        iret_faults 13, KDATA, 0, KDATA, KDATA
        desc    T0, 0, 0xfffff, P | CODE, 0xe ; L and D
        iret_faults 13, T0, 0, T0, KDATA
        case    'IRET: SS null to level 3, or to 32-bit code'
        iret_faults 13, 0, 0x1000, UCODE64, 0
        iret_faults 13, 0, 0x1000, UCODE64, 3
        iret_faults 13, 0, 0x1000, KCODE, 0
        case    'IRET: SS'
        iret_faults 13, KDATA, 0x1000, UCODE64, KDATA | 3
        iret_faults 13, UDATA & ~3, 0x1000, UCODE64, UDATA & ~3
        case    'IRET: RIP not canonical'
        iret_faults 13, 0, NONCANONICAL, KCODE64, KDATA
        iret_faults 13, 0, NONCANONICAL, UCODE64, UDATA
        case    'IRET with NT is #GP(0)'
        try
        push    0x4002
        popfq
here_nt:
        iretq
        tried
        is      seen_vector, 13
        is      seen_error, 0
        is      seen_ip, here_nt
        case    'RETF to level 3'
        try
        push    UDATA
        push    USTACK - 8
        push    UCODE64
        push    here_retf
        o64 retf
here_retf:
        int     END
        tried
        is      seen_vector, END
        is      seen_cs, UCODE64
        is      seen_sp, USTACK - 8

        case    'Call gate from level 3'
        mov     dword [gdt + T0], (abs(here_gate) & 0xffff) | (KCODE64 << 16)
        mov     dword [gdt + T0 + 4], (abs(here_gate) & 0xffff0000) | 0xec00
        mov     qword [gdt + T0 + 8], 0
        mov     dword [SCRATCH], 0
        mov     dword [SCRATCH + 4], T0 | 3
        try
        to_user64
        call    dword far [SCRATCH]
here_gate_back:
        int     END
here_gate:
        mov     [result], rsp
        mov     rax, [rsp]
        mov     [result + 8], rax
        mov     rax, [rsp + 8]
        mov     [result + 16], rax
        mov     rax, [rsp + 16]
        mov     [result + 24], rax
        mov     rax, [rsp + 24]
        mov     [result + 32], rax
        xor     eax, eax
        mov     ax, ss
        mov     [result + 40], rax
        o64 retf
        tried
        is      seen_vector, END
        is      seen_ip, here_gate_back + 2
        is      result, ISTACK - 32
        is      result + 8, here_gate_back
        is      result + 16, UCODE64
        is      result + 24, USTACK
        is      result + 32, UDATA
        is      result + 40, 0
        case    'Call gate from compatibility mode'
        try
        to_compat
        call    T0 | 3:0
        int     END
        bits    64
        tried
        is      seen_vector, END
        is      seen_cs, UCODE
        is      result, ISTACK - 32
        is      result + 16, UCODE
        case    'Call gate: upper half'
        mov     dword [gdt + T0 + 12], 0x0100
        faults  13, T0, call dword far [SCRATCH]
        mov     dword [gdt + T0 + 12], 0
        mov     dword [gdt + T0 + 8], 0x8000
        mov     dword [SCRATCH + 4], T0
        faults  13, 0, call dword far [SCRATCH]
        mov     dword [gdt + T0 + 8], 0
        case    'Call gate: to 32-bit code'
        mov     word [gdt + T0 + 2], KCODE
        faults  13, KCODE, call dword far [SCRATCH]
        case    'Call gate: 16 bits, task gate, TSS'
        mov     byte [gdt + T0 + 5], 0xe4
        faults  13, T0, call dword far [SCRATCH]
        mov     byte [gdt + T0 + 5], 0xe5
        faults  13, T0, call dword far [SCRATCH]
        mov     byte [gdt + T0 + 5], 0xe9
        faults  13, T0, call dword far [SCRATCH]

        case    'Compatibility mode: 32-bit operands and wrap'
        try
        to_compat
        mov     eax, 0xffffffff
        inc     eax                     ; one byte, 0x40
        mov     ebx, -4
        mov     ecx, [ebx + SCRATCH + 4]
        int     END
        bits    64
        tried
        is      seen_vector, END
        is      seen_cs, UCODE
        is      seen_eax, 0
        is      seen_handler_sp, ISTACK
        case    'Compatibility mode: limits count'
        try
        to_compat
        xor     eax, eax
        mov     es, ax
        mov     eax, [es:SCRATCH]
        int     END
        bits    64
        tried
        is      seen_vector, 13
        case    'Compatibility mode at level 0, and back'
        try
        push    KCODE
        push    here_comp
        o64 retf
        bits    32
here_comp:
        mov     eax, cs
        mov     [result], eax
        mov     ecx, esp
        jmp     KCODE64:here_comp2
        bits    64
here_comp2:
        mov     r8d, esp
        int     END
        tried
        is      seen_vector, END
        is      seen_eax, KCODE
        case    'Out of long mode and back'
        try
        push    KCODE
        push    here_leave
        o64 retf
        bits    32
here_leave:
        mov     eax, cr0
        and     eax, 0x7fffffff
        mov     cr0, eax
        mov     ecx, EFER
        rdmsr
        mov     [result], eax           ; LMA is clear
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
        rdmsr
        mov     [result + 8], eax
        jmp     KCODE64:here_again
        bits    64
here_again:
        int     END
        tried
        is      seen_vector, END
        is      result, 0x100, 0x500
        is      result + 8, 0x500, 0x500
        case    'CR0.PG, CR4.PAE, EFER.LME in long mode'
        mov     rbx, cr0
        and     rbx, 0x7fffffff
        faults  13, 0, mov cr0, rbx
        mov     rbx, cr4
        and     rbx, ~0x20
        faults  13, 0, mov cr4, rbx
        mov     ecx, EFER
        rdmsr
        and     eax, ~0x100
        faults  13, 0, wrmsr
        case    'CR0, CR3, CR4, EFER: reserved bits'
        mov     rbx, cr0
        bts     rbx, 32
        faults  13, 0, mov cr0, rbx
        mov     rbx, cr0
        bts     rbx, 29                 ; NW without CD
        faults  13, 0, mov cr0, rbx
        mov     rbx, cr3
        bts     rbx, 60
        faults  13, 0, mov cr3, rbx
        mov     rbx, cr4
        bts     rbx, 31
        faults  13, 0, mov cr4, rbx
        mov     ecx, EFER
        rdmsr
        bts     eax, 1
        faults  13, 0, wrmsr
        case    'CR8'
        mov     eax, 9
        mov     cr8, rax
        xor     eax, eax
        mov     rax, cr8
        reg_is  rax, 9
        mov     eax, 16
        faults  13, 0, mov cr8, rax
        xor     eax, eax
        mov     cr8, rax
        user64_faults 13, 0, mov rax, cr8
        case    'CR8 holds back interrupts of its class'
        in      al, PORT_PRESENT
        cmp     al, 0x5a
        jne     no_ports
        mov     eax, 3
        mov     cr8, rax
        try
        sti
        nop
        mov     al, 0x35
        out     PORT_INTR, al
        nop
        mov     eax, 2
        mov     cr8, rax
here_cr8:
        nop
        tried
        is      seen_vector, 0x35
        is      seen_ip, here_cr8
        xor     eax, eax
        mov     cr8, rax
no_ports:
        case    'PCIDE: conditions'
        mov     rax, cr3
        or      rax, 0x18
        mov     cr3, rax
        mov     rbx, cr4
        bts     rbx, 17
        faults  13, 0, mov cr4, rbx     ; CR3 has a PCID
        and     rax, ~0xfff
        mov     rax, PML4
        mov     cr3, rax
        mov     rbx, cr4
        bts     rbx, 17
        fine    mov cr4, rbx
        case    'PCID: CR3 with bit 63'
        mov     rax, PML4 + 5
        bts     rax, 63
        fine    mov cr3, rax
        mov     rax, cr3
        reg_is  rax, PML4 + 5
        case    'INVPCID'
        mov     qword [SCRATCH], 5
        mov     qword [SCRATCH + 8], 0
        xor     ebx, ebx
        fine    invpcid rbx, [SCRATCH]
        mov     ebx, 3
        fine    invpcid rbx, [SCRATCH]
        mov     ebx, 4
        faults  13, 0, invpcid rbx, [SCRATCH]
        mov     qword [SCRATCH], 0x1000
        mov     ebx, 1
        faults  13, 0, invpcid rbx, [SCRATCH]
        mov     qword [SCRATCH], 0
        mov     rax, NONCANONICAL
        mov     [SCRATCH + 8], rax
        xor     ebx, ebx
        faults  13, 0, invpcid rbx, [SCRATCH]
        user64_faults 13, 0, invpcid rbx, [SCRATCH]
        mov     rax, PML4
        mov     cr3, rax
        cr_clear cr4, 0x20000

        case    'SYSCALL: 64-bit code'
        msr     0xc0000081, 0x0018003000000000 | (0x12345678)
        msr     0xc0000082, here_lstar - $$ + 0x8000
        msr     0xc0000084, 0x0600      ; IF and DF
        mov     qword [user_flags], 0x0e02 | 0x3000
        try
        to_user64
        syscall
here_syscall:
        int     END
here_lstar:
        mov     r8, rsp
        pushfq
        pop     qword [result]
        int     END
        tried
        is      seen_vector, END
        is      seen_cs, KCODE64
        is      seen_ss, KDATA64
        is      seen_ecx, here_syscall
        is      seen_r11, 0x3e02
        is      seen_r8, USTACK         ; the stack is not switched
        is      result, 0x3802
        mov     qword [user_flags], 2
        case    'SYSCALL without SCE'
        mov     ecx, EFER
        rdmsr
        and     al, ~1
        wrmsr
        user64_faults 6, NO_ERROR, syscall
        faults  6, NO_ERROR, o64 sysret
        mov     ecx, EFER
        rdmsr
        or      al, 1
        wrmsr
        case    'SYSRET: to 64-bit code'
        try
        mov     ecx, here_sysret
        mov     r11d, 0x3ffad7 | 0x10000
        and     r11d, ~0x24100          ; VM, NT... and TF
        mov     rsp, USTACK
        o64 sysret
here_sysret:
        int     END
        tried
        is      seen_vector, END
        is      seen_cs, UCODE64
        is      seen_ss, UDATA
        is      seen_ip, here_sysret + 2
        is      seen_flags, 0, 0x20000
        case    'SYSRET: to 32-bit code'
        try
        mov     rcx, 0xffffffff00000000 + (here_sysret32 - $$ + 0x8000)
        mov     r11d, 2
        mov     rsp, USTACK
        sysret
        bits    32
here_sysret32:
        inc     eax
        int     END
        bits    64
        tried
        is      seen_vector, END
        is      seen_cs, UCODE
        is      seen_ss, UDATA
        case    'SYSRET: at level 3'
        user64_faults 13, 0, o64 sysret
        case    'TF and SYSCALL: masked, no trap'
        msr     0xc0000082, here_lstar2 - $$ + 0x8000
        msr     0xc0000084, 0x0100
        mov     qword [user_flags], 2
        try
        to_user64
        push    0x102
        popfq
        syscall
here_lstar2:
        nop
        int     END
        tried
        is      seen_vector, END
        case    'TF and SYSCALL: not masked'
        msr     0xc0000084, 0
        try
        to_user64
        push    0x102
        popfq
        syscall
        tried
        is      seen_vector, 1
        is      seen_ip, here_lstar2
        is      seen_cs, KCODE64
        case    'TF by SYSRET traps at once'
        try
        mov     ecx, here_sysret_tf
        mov     r11d, 0x102
        mov     rsp, USTACK
        o64 sysret
here_sysret_tf:
        nop
        tried
        is      seen_vector, 1
        is      seen_ip, here_sysret_tf
        is      seen_cs, UCODE64

        xor     eax, eax
        cpuid
        cmp     ecx, 'ntel'
        je      intel

        case    'AMD: SYSCALL from compatibility mode goes to CSTAR'
        msr     0xc0000083, here_cstar - $$ + 0x8000
        try
        to_compat
        syscall
here_syscall32:
        bits    64
here_cstar:
        int     END
        tried
        is      seen_vector, END
        is      seen_cs, KCODE64
        is      seen_ecx, here_syscall32
        case    'AMD: SYSENTER and SYSEXIT are #UD in long mode'
        faults  6, NO_ERROR, sysenter
        faults  6, NO_ERROR, sysexit
        case    'AMD: SYSRET to an address that is not canonical faults at level 3'
        try
        mov     rcx, NONCANONICAL
        mov     r11d, 2
        mov     rsp, USTACK
        o64 sysret
        tried
        is      seen_vector, 13
        is      seen_cs, UCODE64
        jmp     vendor_done

intel:
        case    'Intel: SYSCALL from compatibility mode is #UD'
        try
        to_compat
        syscall
        bits    64
        tried
        is      seen_vector, 6
        case    'Intel: SYSRET to an address that is not canonical faults at level 0'
        mov     rcx, NONCANONICAL
        faults  13, 0, o64 sysret
        is      seen_cs, KCODE64
        case    'Intel: SYSENTER'
        msr     0x174, 0
        user64_faults 13, 0, sysenter
        msr     0x174, KCODE
        msr     0x175, KSTACK - 0x2000
        msr     0x176, here_sysenter - $$ + 0x8000
        mov     qword [user_flags], 0x202
        try
        to_user64
        sysenter
here_sysenter:
        mov     r8, rsp
        int     END
        tried
        mov     qword [user_flags], 2
        is      seen_vector, END
        is      seen_cs, KCODE          ; selector of SYSENTER_CS, 64-bit code
        is      seen_ss, KCODE + 8
        is      seen_r8, KSTACK - 0x2000
        is      seen_flags, 2, 0x202
        case    'Intel: SYSEXIT to 32- and 64-bit code'
        try
        mov     edx, here_sysexit
        mov     ecx, USTACK
        sysexit
        bits    32
here_sysexit:
        int     END
        bits    64
        tried
        is      seen_vector, END
        is      seen_cs, KCODE + 16 | 3
        is      seen_ss, KCODE + 24 | 3
        try
        mov     edx, here_sysexit64
        mov     ecx, USTACK
        o64 sysexit
here_sysexit64:
        int     END
        tried
        is      seen_vector, END
        is      seen_cs, KCODE + 32 | 3
        is      seen_ss, KCODE + 40 | 3
        case    'Intel: SYSEXIT at level 3, to addresses that are not canonical'
        user64_faults 13, 0, sysexit
        mov     rdx, NONCANONICAL
        mov     ecx, USTACK
        faults  13, 0, o64 sysexit
vendor_done:
        case    'LLDT, LTR: 16-byte descriptors'
        desc    LDT, abs(ldt), 31, P | 2, 0
        mov     dword [gdt + LDT + 8], 0x00008000 ; not canonical
        mov     dword [gdt + LDT + 12], 0
        mov     eax, LDT
        faults  13, LDT, lldt ax
        mov     dword [gdt + LDT + 12], 0x0100
        mov     dword [gdt + LDT + 8], 0
        mov     eax, LDT
        faults  13, LDT, lldt ax
        mov     dword [gdt + LDT + 12], 0
        mov     eax, LDT
        fine    lldt ax
        case    'DR6, DR7: upper half'
        mov     rbx, 0x100000000
        faults  13, 0, mov dr7, rbx
        faults  13, 0, mov dr6, rbx
        jmp     finish64
