; SPDX-License-Identifier: GPL-2.0-or-later
; Virtual-8086 mode with IOPL, VME and PVI, the I/O permission map, real mode and unreal mode. SDM
; 3B chapter 20, 3A 20.
%include "common.inc"

%define VM      0x20000
%define VIF     0x80000
%define VIP     0x100000

; An instruction of V86 mode with these user_flags: vector, error; it ends with INT END otherwise.
%macro v86_faults 3+
        %push   attempt
        mov     dword [resume], %$end
        mov     [resume_sp], esp
        mov     dword [seen_vector], NOTHING
        to_v86
%$start:
        %3
        int3
        bits    32
%$end:
        is      seen_vector, %1
        is      seen_error, %2
        is      seen_ip, %$start - $$
        is      seen_flags, VM, VM
        %pop
%endmacro
%macro v86_try 0
        %push   attempt
        mov     dword [resume], %$end
        mov     [resume_sp], esp
        mov     dword [seen_vector], NOTHING
        to_v86
%endmacro
; INT3 (DPL 3) is how V86 code ends: not sensitive to IOPL.
%macro v86_tried 0
        int3
        bits    32
%$end:
        %pop
%endmacro
%macro cr4_set 1
        mov     eax, cr4
        or      eax, %1
        mov     cr4, eax
%endmacro
%macro cr4_clear 1
        mov     eax, cr4
        and     eax, ~(%1)
        mov     cr4, eax
%endmacro

main:
        gate    idt_entry(3), KCODE, abs(stubs32) + 3 * 16, 0xee
        mov     word [0x84 * 4], seg16(vme_handler)
        mov     word [0x84 * 4 + 2], 0x800

        case    'V86: segments and state in the handler'
        mov     dword [user_flags], 0x3202
        try
        push    dword 0x5555            ; GS
        push    dword 0x4444            ; FS
        push    dword 0x3333            ; DS
        push    dword 0x2222            ; ES
        push    dword 0x0700            ; SS
        push    dword 0x0800            ; SP
        push    dword 0x23202
        push    dword 0x800
        push    dword seg16(here_v86)
        iretd
        bits    16
here_v86:
        mov     ax, cs
        int     END
        bits    32
        tried
        is      seen_vector, END
        is      seen_flags, 0x23202
        is      seen_cs, 0x800
        is      seen_ss, 0x700
        is      seen_sp, 0x800
        is      seen_es, 0x2222
        is      seen_ds, 0x3333
        is      seen_fs, 0x4444
        is      seen_gs, 0x5555
        is      seen_eax, 0x800, 0xffff
        is      seen_handler_sp, ISTACK - 24
        is      seen_handler_flags, 0, VM
        case    'V86: addresses are of real mode'
        mov     dword [0x12345], 0x600df00d
        v86_try
        mov     ax, 0x1234
        mov     ds, ax
        mov     eax, [5]
        v86_tried
        is      seen_vector, 3
        is      seen_eax, 0x600df00d
        case    'V86: beyond 64 KiB'
        v86_faults 13, 0, mov eax, [0xfffd]
        v86_faults 12, 0, db 0x67, 0x36, 0xa1, 0, 0, 1, 0 ; MOV AX, [SS:0x10000]
        case    'V86: #UD'
        v86_faults 6, NO_ERROR, lldt ax
        v86_faults 6, NO_ERROR, str ax
        v86_faults 6, NO_ERROR, lar ax, ax
        v86_faults 6, NO_ERROR, verr ax
        v86_faults 6, NO_ERROR, db 0x63, 0xc0 ; ARPL
        case    'V86: privileged'
        v86_faults 13, 0, hlt
        v86_faults 13, 0, mov eax, cr0
        v86_faults 13, 0, lmsw ax
        v86_faults 13, 0, lgdt [0]
        v86_faults 13, 0, clts
        v86_faults 13, 0, mov dr0, eax
        v86_faults 13, 0, wrmsr
        case    'V86: IOPL 3'
        v86_try
        cli
        pushf
        pop     bx
        sti
        pushf
        pop     cx
        v86_tried
        is      seen_vector, 3
        is      seen_ebx, 0x3002, 0x3202
        is      seen_ecx, 0x3202, 0x3202
        case    'V86: IRET with IOPL 3 does not change IOPL'
        v86_try
        push    word 0x0002
        push    cs
        push    word seg16(here_iret)
        iret
here_iret:
        v86_tried
        is      seen_vector, 3
        is      seen_flags, VM | 0x3002, VM | 0x3202
        mov     dword [user_flags], 2
        case    'V86: IOPL below 3, no VME'
        v86_faults 13, 0, cli
        v86_faults 13, 0, sti
        v86_faults 13, 0, pushf
        v86_faults 13, 0, popf
        v86_faults 13, 0, iret
        v86_faults 13, 0, int 0x84
        case    'V86: INT3 is not sensitive to IOPL'
        v86_try
        nop
        v86_tried
        is      seen_vector, 3
        case    'V86: far jump and call'
        v86_try
        call    0x7ff:seg16(here_far) + 16
        jmp     here_far2
here_far:
        mov     bx, cs
        retf
here_far2:
        mov     cx, cs
        v86_tried
        is      seen_vector, 3
        is      seen_ebx, 0x7ff, 0xffff
        is      seen_ecx, 0x800, 0xffff
        case    'V86: exceptions need a handler of level 0'
        desc    T0, 0, 0xfffff, P | CODE | 4, FLAT
        gate    idt_entry(6), T0, abs(stubs32) + 6 * 16, 0x8e
        v86_faults 13, T0 | 1, ud2
        restore_gate 6

        case    'VME: STI, CLI act on VIF'
        cr4_set 1
        v86_try
        sti
        pushf
        pop     bx
        v86_tried
        is      seen_vector, 3
        is      seen_flags, VM | VIF, VM | VIF | VIP | 0x200
        is      seen_ebx, 0x3200, 0x3200 ; IOPL reads 3, IF is VIF
        mov     dword [user_flags], VIF | 2
        v86_try
        cli
        v86_tried
        is      seen_flags, VM, VM | VIF
        case    'VME: STI with VIP'
        mov     dword [user_flags], VIP | 2
        v86_faults 13, 0, sti
        case    'VME: POPF, IRET act on VIF'
        mov     dword [user_flags], 2
        v86_try
        push    word 0x0202
        popf
        v86_tried
        is      seen_flags, VM | VIF, VM | VIF | 0x3200
        case    'VME: POPF with TF, or with IF and VIP'
        v86_try
        push    word 0x0102
here_popf:
        popf
        v86_tried
        is      seen_vector, 13
        is      seen_ip, seg16(here_popf)
        mov     dword [user_flags], VIP | 2
        v86_try
        push    word 0x0202
        popf
        v86_tried
        is      seen_vector, 13
%macro vme_iret 2                        ; flags, IP; behind it: here_vme_iret
        push    word %1
        push    cs
        push    word %2
%endmacro
        case    'VME: IRET takes IF to VIF, leaves IF and IOPL'
        mov     dword [user_flags], 2
        v86_try
        vme_iret 0x3adf, seg16(here_vi1) ; IOPL 3, IF, DF and OF, SF ... CF; no TF
        iret
        int     0x84
here_vi1:
        v86_tried
        is      seen_vector, 3
        is      seen_flags, VM | VIF | 0x8d7, VM | VIF | VIP | 0x3ad7
        is      seen_sp, STACK16
        mov     dword [user_flags], VIF | 2
        v86_try
        vme_iret 2, seg16(here_vi2)
        iret
        int     0x84
here_vi2:
        v86_tried
        is      seen_vector, 3
        is      seen_flags, VM, VM | VIF | 0x3ad5
        case    'VME: IRET with TF is #GP, and nothing is popped'
        mov     dword [user_flags], VIF | 2
        v86_try
        vme_iret 0x0102, seg16(here_vi3)
here_vi3:
        iret
        v86_tried
        is      seen_vector, 13
        is      seen_error, 0
        is      seen_ip, seg16(here_vi3)
        is      seen_sp, STACK16 - 6
        is      seen_flags, VM | VIF, VM | VIF
        case    'VME: IRET with IF while VIP is set is #GP'
        mov     dword [user_flags], VIP | 2
        v86_try
        vme_iret 0x0202, seg16(here_vi4)
here_vi4:
        iret
        v86_tried
        is      seen_vector, 13
        is      seen_ip, seg16(here_vi4)
        is      seen_sp, STACK16 - 6
        is      seen_flags, VM | VIP, VM | VIF | VIP
        case    'VME: IRET without IF while VIP is set'
        mov     dword [user_flags], VIF | VIP | 2
        v86_try
        vme_iret 0x0002, seg16(here_vi5)
        iret
here_vi5:
        v86_tried
        is      seen_vector, 3
        is      seen_flags, VM | VIP, VM | VIF | VIP
        case    'VME: 32-bit IRET is #GP'
        mov     dword [user_flags], 2
        v86_faults 13, 0, iretd
        case    'VME: IRET with IOPL 3 is without it'
        mov     dword [user_flags], VIP | 0x3002
        v86_try
        vme_iret 0x0202, seg16(here_vi6)
        iret
here_vi6:
        v86_tried
        is      seen_vector, 3
        is      seen_flags, VM | VIP | 0x3202, VM | VIF | VIP | 0x3202
        mov     dword [user_flags], VIF | 0x3202
        v86_try
        push    dword 0x00150002        ; VIP, AC, RF: AC and RF are taken
        push    dword 0x800
        push    dword seg16(here_vi7)
        iretd
here_vi7:
        v86_tried
        is      seen_vector, 3
        is      seen_flags, VM | VIF | 0x43002, VM | VIF | VIP | 0x43202
        case    'V86: IRET beyond the limit'
        mov     dword [user_flags], 0x3002
        v86_try
        push    dword 0x3002
        push    dword 0x800
        push    dword 0x10000
here_vi8:
        iretd
        v86_tried
        is      seen_vector, 13
        is      seen_ip, seg16(here_vi8)
        is      seen_sp, STACK16 - 12
        case    'IRET to V86 mode sets VIF and VIP whatever CR4 says'
        mov     dword [user_flags], VIF | VIP | 2
        v86_try
        nop
        v86_tried
        is      seen_flags, VM | VIF | VIP, VM | VIF | VIP
        mov     dword [user_flags], VIP | 2
        case    'VME: 32-bit PUSHF and POPF are #GP'
        v86_faults 13, 0, pushfd
        v86_faults 13, 0, popfd
        case    'VME: INT n through its own table'
        mov     dword [user_flags], VIF | 2
        mov     dword [tss + iobase], 0
        mov     byte [tss + iobase + 0x84 / 8], 0
        v86_try
        int     0x84
here_vme:
        v86_tried
        is      seen_vector, 3
        is      seen_ebx, seg16(here_vme), 0xffff
        is      seen_ecx, 0x800, 0xffff
        is      seen_edx, 0x3200, 0x3200
        is      seen_flags, VM, VM | VIF
        case    'VME: INT n with its bit set is #GP below IOPL 3'
        mov     byte [tss + iobase + 0x84 / 8], 0xff
        v86_faults 13, 0, int 0x84
        case    'VME: with IOPL 3 it goes through the IDT'
        mov     dword [user_flags], 0x3002
        v86_try
        int     0x84
        v86_tried
        is      seen_vector, 0x84
        cr4_clear 1
        mov     dword [user_flags], 2

        case    'PVI: STI, CLI at level 3'
        cr4_set 2
        try
        to_user
        sti
        pushfd
        pop     ebx
        int     END
        tried
        is      seen_flags, VIF, VIF | 0x3200
        is      seen_ebx, VIF, VIF | 0x3200
        case    'PVI: STI with VIP'
        mov     dword [user_flags], VIP | 2
        user_faults 13, 0, sti
        mov     dword [user_flags], 2
        cr4_clear 2
        case    'PVI off'
        user_faults 13, 0, sti

        ; ports
        case    'I/O map: allowed and not'
        mov     byte [tss + iobase + 32 + PORT_LATCH / 8], 0xf0 ; four ports
        mov     dx, PORT_LATCH
        user_fine in al, dx
        mov     dx, PORT_LATCH
        user_fine in eax, dx
        mov     dx, PORT_LATCH + 4
        user_faults 13, 0, in al, dx
        case    'I/O map: each byte counts'
        mov     dx, PORT_LATCH + 1
        user_faults 13, 0, out dx, eax
        mov     dx, PORT_LATCH + 2
        user_fine out dx, ax
        case    'I/O map: across two bytes of it'
        mov     byte [tss + iobase + 32 + PORT_LATCH / 8], 0x00
        mov     byte [tss + iobase + 33 + PORT_LATCH / 8], 0xfe
        mov     dx, PORT_LATCH + 7
        user_fine in ax, dx
        mov     dx, PORT_LATCH + 7
        user_faults 13, 0, in eax, dx
        case    'I/O map: beyond the limit'
        mov     dx, 0xffff
        user_faults 13, 0, in al, dx
        case    'I/O map: IOPL 3 needs none'
        mov     dword [user_flags], 0x3002
        mov     dx, 0x200
        user_fine in al, dx
        case    'I/O map: V86 needs it with IOPL 3 too'
        mov     edx, PORT_LATCH
        v86_try
        in      al, dx
        v86_tried
        is      seen_vector, 3
        v86_faults 13, 0, in al, 0x10
        mov     dword [user_flags], 2
        case    'I/O map: INS checks'
        mov     dx, 0x200
        mov     edi, SCRATCH
        user_faults 13, 0, insb

        ; real mode
%macro real_try 0
        %push   attempt
        mov     dword [resume], %$end
        mov     [resume_sp], esp
        mov     dword [seen_vector], NOTHING
        to_real
%endmacro
%macro real_tried 0
        int     END
        bits    32
%$end:
        %pop
%endmacro
%macro real_faults 2+
        real_try
%$start:
        %2
        real_tried
        is      seen_vector, %1
        is      seen_sp, STACK16
%endmacro
        case    'Real mode: INT n, frame'
        real_try
        mov     ax, 0x1234
        sti
        int     END
here_real:
        real_tried
        is      seen_vector, END
        is      seen_ip, seg16(here_real)
        is      seen_cs, 0x800
        is      seen_flags, 0x202, 0x202
        is      seen_cr0, 0, 1
        case    'Real mode: faults have no error code and their own IP'
        real_try
        xor     cx, cx
here_rde:
        div     cx
        real_tried
        is      seen_vector, 0
        is      seen_ip, seg16(here_rde)
        case    'Real mode: limits'
        real_faults 13, mov ax, [0xffff]
        real_faults 13, mov [0xfffd], eax
        real_faults 12, db 0x67, 0x36, 0xa1, 0, 0, 1, 0
        real_faults 13, db 0x67, 0xa1, 0, 0, 1, 0
        case    'Real mode: UD'
        real_faults 6, lldt ax
        real_faults 6, str ax
        real_faults 6, lar ax, ax
        real_faults 6, db 0x63, 0xc0
        real_faults 6, ud2
        case    'Real mode: LOCK'
        real_faults 6, db 0xf0, 0x90
        case    'Real and V86 mode have no VEX and no EVEX (16-bit protected mode has)'
        mov     eax, 1
        cpuid
        bt      ecx, 26                 ; XSAVE
        jnc     .no_vex
        cr4_set 0x40000                 ; OSXSAVE
        real_faults 6, db 0xc4, 0xe2, 0x70, 0xf2, 0xc1 ; ANDN eax, ecx, ecx
        real_faults 6, db 0xc5, 0xf0, 0x58, 0xc1 ; VADDPS
        real_faults 6, db 0x62, 0xf1, 0x74, 0x48, 0x58, 0xc1
        v86_faults 6, NO_ERROR, db 0xc4, 0xe2, 0x70, 0xf2, 0xc1
        v86_faults 6, NO_ERROR, db 0xc5, 0xf0, 0x58, 0xc1
        v86_faults 6, NO_ERROR, db 0x62, 0xf1, 0x74, 0x48, 0x58, 0xc1
        cr4_clear 0x40000
.no_vex:
        case    'Real mode: vector beyond the table'
        mov     word [SCRATCH], 0x3fb
        mov     dword [SCRATCH + 2], 0
        real_try
        mov     ax, SCRATCH >> 4
        mov     ds, ax
        lidt    [0]
here_rgp:
        int     0xff
        real_tried
        is      seen_vector, 13
        is      seen_ip, seg16(here_rgp)
        case    'Real mode: PUSH with SP 1 shuts down'
        real_try
        mov     sp, 1
        push    ax
        real_tried
        is      seen_vector, SHUTDOWN
        case    'Real mode: PUSH with SP 0 wraps'
        mov     dword [0xfffe], 0
        real_try
        xor     sp, sp
        mov     ax, 0x7777
        push    ax
        mov     bx, sp
        mov     sp, STACK16
        real_tried
        is      seen_vector, END
        is      seen_ebx, 0xfffe, 0xffff
        is      0xfffe, 0x7777, 0xffff
        case    'Real mode: 32-bit operands, far pointers'
        real_try
        push    dword 0x12345678
        pop     ebx
        mov     word [0x500], 0x1111
        mov     word [0x502], 0x2222
        les     si, [0x500]
        real_tried
        is      seen_ebx, 0x12345678
        is      seen_es, 0x2222
        is      seen_esi, 0x1111, 0xffff
        case    'Real mode: interrupts off in the handler, IRET back'
        mov     word [0x83 * 4], seg16(real_handler)
        mov     word [0x83 * 4 + 2], 0x800
        real_try
        sti
        int     0x83
        pushf
        pop     cx
        real_tried
        is      seen_ebx, 0, 0x200
        is      seen_ecx, 0x200, 0x200
        case    'Real mode: limits of protected mode stay (unreal)'
        mov     dword [PLAY], 0xfeedface
        real_try
        cli
        lgdt    [cs:seg16(gdtr)]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     here_unreal             ; still at CS 0x800
here_unreal:
        mov     bx, KDATA
        mov     ds, bx
        and     al, 0xfe
        mov     cr0, eax
        mov     ebx, [dword PLAY]
        xor     ax, ax
        mov     ds, ax                  ; a load in real mode keeps the limit
        mov     ecx, [dword PLAY]
        real_tried
        is      seen_vector, END
        is      seen_ebx, 0xfeedface
        is      seen_ecx, 0xfeedface
        case    'Real mode: a 16-bit limit is back'
        real_faults 13, mov eax, [dword PLAY]
        ret

        bits    16
vme_handler:
        mov     bp, sp
        mov     bx, [bp]
        mov     cx, [bp + 2]
        mov     dx, [bp + 4]
        int3
real_handler:
        pushf
        pop     bx
        iret
