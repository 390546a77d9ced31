; SPDX-License-Identifier: GPL-2.0-or-later
; System management mode from and to long mode: the map of AMD64, RSM. AMD APM volume 2 chapter 10.
%include "common.inc"
%include "long.inc"
%define SMM_MACROS
%include "smm.inc"

main:
        in      al, PORT_PRESENT
        cmp     al, 0x5a
        je      .go
        ret
.go:    mov     eax, SMBASE0
        call    put_entry
        call    enter_long
        bits    64
        case    'SMI: the map, 64-bit mode'
        fresh
        mov     rax, 0x0102030405060708
        mov     r8, 0x1112131415161718
        mov     r15, 0x2122232425262728
        mov     rbp, cr0
        mov     rdi, cr4
        try
        smi
here_map64:
        tried
        is      seen_vector, NOTHING
        is      smm_count, 1, 0xffffffff
        is      smm_efer, 0, 0xffffffff
        is      smm_cr4, 0, 0xffffffff
        is      map(0xfff8), 0x0102030405060708
        is      map(0xffb8), 0x1112131415161718
        is      map(0xff80), 0x2122232425262728
        is      map(0xff78), here_map64
        is      map(0xff50), PML4
        mov     rcx, cr3
        reg_is  rcx, PML4
        is      map(0xff58), rbp
        is      map(0xff48), rdi
        is      map(0xfed0), 0xd01
        is      map(0xfe10), KCODE64, 0xffff
        is      map(0xfe12), 0xa09a, 0xf09e
        is      map(0xfe68), gdt
        is      map(0xfe88), IDT64
        is      map(0xfe84), 0xfff, 0xffffffff
        is      map(0xfe98), abs(tss)
        case    'RSM: 64-bit mode, level 0'
        fresh
        mov     rbx, 0x3132333435363738
        mov     r9, 0x4142434445464748
        mov     rax, 0xffff800012345678
        mov     rdx, rax
        shr     rdx, 32
        mov     ecx, 0xc0000100         ; FS base
        wrmsr
        try
        smi
        mov     ecx, 0xc0000100
        rdmsr
        mov     rcx, r9
        int     END
        tried
        is      seen_vector, END
        is      seen_ebx, 0x3132333435363738
        is      seen_ecx, 0x4142434445464748
        is      seen_edx, 0xffff8000
        is      seen_eax, 0x12345678
        is      seen_cs, KCODE64
        mov     ecx, EFER
        rdmsr
        reg_is  rax, 0xd01
        case    'RSM: 64-bit mode, level 3'
        fresh
        mov     qword [user_flags], 0x3202
        mov     rbx, 0x5152535455565758
        try
        to_user64
        smi
        int     END
        tried
        is      smm_count, 1, 0xffffffff
        is      seen_vector, END
        is      seen_cs, UCODE64
        is      seen_ss, UDATA
        is      seen_ebx, 0x5152535455565758
        is      seen_flags, 0x3202, 0x3202
        case    'RSM: compatibility mode'
        fresh
        try
        to_compat
        smi
        mov     ecx, 0xffffffff
        inc     ecx                     ; 41 is REX in 64-bit mode
        int     END
        bits    64
        tried
        mov     qword [user_flags], 2
        is      smm_count, 1, 0xffffffff
        is      seen_vector, END
        is      seen_cs, UCODE
        is      seen_ecx, 0
        case    'RSM: 64-bit mode with a null SS'
        fresh
        try
        xor     eax, eax
        mov     ss, ax
        smi
        push    rax
        pop     rcx
        mov     eax, ss
        int     END
        tried
        is      seen_vector, END
        is      seen_eax, 0
        is      map(0xfe22), 0, 0x80
        case    'SMI in a HLT of 64-bit mode'
        fresh
        out     PORT_HALT_SMI, al
        raise   PORT_HALT_INTR, 0x37
        try
        sti
        hlt
here_hlt64:
        nop
        tried
        is      smm_count, 1, 0xffffffff
        is      seen_vector, 0x37
        is      seen_ip, here_hlt64
        jmp     finish64
        bits    32

%include "smm.inc"
