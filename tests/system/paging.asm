; SPDX-License-Identifier: GPL-2.0-or-later
; Paging in all formats: reserved bits, large pages, accesses across pages, tables that change. SDM 3A
; chapter 4. Rights are permissions.asm's.
%include "common.inc"

; Tables: the format's upper levels, at PLAY; what is tested has an entry each in two levels.
%define PD32            PLAY
%define PDPT_PAE        PLAY + 0x4000
%define PD_PAE          PLAY + 0x5000
%define TEST_PT         PLAY + 0x6000
%define USER_PT         PLAY + 0x7000
%define TEST_PHYS       (PLAY + 0x100000)
%define USER_PHYS       (PLAY + 0x110000)
%define TEST_VA         0x800000
%define USER_VA         0xc00000

        bits    32
; The page with the user's accesses: at 0 a read, at 16 a write, at 32 a call. EBX is where, EDX the
; page; the same bytes in 32- and 64-bit code. And the page that is tested: a RET.
make_pages:
        mov     dword [USER_PHYS], 0x80cd038b   ; mov eax, [ebx]; int END
        mov     dword [USER_PHYS + 16], 0x80cd0389
        mov     dword [USER_PHYS + 32], 0x80cdd2ff
        mov     byte [TEST_PHYS], 0xc3
        mov     dword [TEST_PHYS + 8], 0x600df00d
        mov     dword [USER_PT], USER_PHYS | 7
        mov     dword [USER_PT + 4], 0
        ret

clear_tables:
        mov     edi, PLAY
        xor     eax, eax
        mov     ecx, 0x8000 / 4
        rep     stosd
        jmp     make_pages

paging_off:
        mov     eax, cr0
        and     eax, 0x7fffffff
        mov     cr0, eax
        mov     eax, cr4
        and     eax, ~0x3000b0
        mov     cr4, eax
        ret
paging_on:                              ; CR3 in eax
        mov     cr3, eax
        mov     eax, cr0
        and     eax, ~0x60000000
        or      eax, 0x80000000
        mov     cr0, eax
        ret
flush:  mov     eax, cr3
        mov     cr3, eax
        ret

main:
        ; 32-bit paging
        call    clear_tables
        mov     dword [PD32], 0x83
        mov     dword [PD32 + 12], USER_PT | 7
        mov     eax, cr4
        or      eax, 0x10
        mov     cr4, eax
        mov     eax, PD32
        call    paging_on

        case    'PDE not present'
        mov     dword [PD32 + 8], TEST_PT | 6
        call    flush
        faults  14, 2, mov [TEST_VA + 0x123], al
        is      seen_cr2, TEST_VA + 0x123
        case    '4 MiB page: rights, A and D'
        mov     dword [PD32 + 8], 0x83
        call    flush
        mov     dword [TEST_PHYS + 0x40], 0x11223344
        mov     eax, [TEST_VA + TEST_PHYS + 0x40]
        reg_is  eax, 0x11223344
        is      PD32 + 8, 0xa3
        mov     byte [TEST_VA + TEST_PHYS + 0x40], 1
        is      PD32 + 8, 0xe3
        mov     dword [PD32 + 8], 0x81
        call    flush
        mov     eax, cr0
        or      eax, 0x10000
        mov     cr0, eax
        faults  14, 3, mov [TEST_VA], al
        case    '4 MiB page: bit 21 is reserved'
        mov     dword [PD32 + 8], 0x200083
        call    flush
        faults  14, 9, mov al, [TEST_VA]
        faults  14, 11, mov [TEST_VA], al
        case    'PSE-36'
        mov     dword [PD32 + 8], 0x2083 ; physical bit 32
        call    flush
        in      al, PORT_PRESENT
        cmp     al, 0x5a
        jne     no_high
        mov     dword [TEST_VA + 0x90000], 0xcafef00d
        is      TEST_VA + 0x90000, 0xcafef00d
        is      0x90000, 0, 0           ; its own memory
no_high:
        case    'Without PSE, PS is ignored'
        call    paging_off
        mov     edi, PD32 + 0x1000      ; a table for the first 4 MiB
        mov     eax, 3
here_fill:
        stosd
        add     eax, 0x1000
        cmp     eax, 0x400003
        jb      here_fill
        mov     dword [PD32], (PD32 + 0x1000) | 0x83
        mov     eax, PD32
        call    paging_on
        fine    mov al, [SCRATCH]
        mov     eax, [SCRATCH]
        call    paging_off
        mov     dword [PD32], 0x83
        mov     eax, cr4
        or      eax, 0x10
        mov     cr4, eax
        mov     eax, PD32
        call    paging_on

        case    'A write across pages: all or nothing'
        mov     dword [PD32 + 8], TEST_PT | 7
        mov     dword [TEST_PT], TEST_PHYS | 7
        mov     dword [TEST_PT + 4], 0
        call    flush
        mov     dword [TEST_PHYS + 0xffc], 0
        mov     eax, -1
        faults  14, 2, mov [TEST_VA + 0xffe], eax
        is      seen_cr2, TEST_VA + 0x1000
        is      TEST_PHYS + 0xffc, 0
        case    'Present without INVLPG, gone with it'
        mov     dword [TEST_PT + 4], (TEST_PHYS + 0x1000) | 7
        fine    mov al, [TEST_VA + 0x1000]
        mov     dword [TEST_PT + 4], 0
        invlpg  [TEST_VA + 0x1234]
        faults  14, 0, mov al, [TEST_VA + 0x1000]
        case    'An instruction across pages: the second is missing'
        mov     byte [TEST_PHYS + 0xffe], 0xb8
        mov     eax, TEST_VA + 0xffe
        try
        jmp     eax
        tried
        is      seen_vector, 14
        is      seen_error, 0
        is      seen_ip, TEST_VA + 0xffe
        is      seen_cr2, TEST_VA + 0x1000
        case    'An instruction that ends with its page'
        mov     word [TEST_PHYS + 0xffe], 0x80cd
        mov     eax, TEST_VA + 0xffe
        try
        jmp     eax
        tried
        is      seen_vector, END
        case    'A jump to a page that is missing'
        try
        jmp     TEST_VA + 0x1000
        tried
        is      seen_vector, 14
        is      seen_ip, TEST_VA + 0x1000
        case    'REP: a fault leaves the registers where it got'
        mov     edi, TEST_VA + 0xff8
        mov     ecx, 8
        xor     eax, eax
        try
here_rep:
        rep     stosd
        tried
        is      seen_vector, 14
        is      seen_ip, here_rep
        is      seen_edi, TEST_VA + 0x1000
        is      seen_ecx, 6
        is      seen_flags, 0x10000, 0x10000
        case    'The frame of an exception: page fault, then #DF'
        try
        mov     esp, TEST_VA + 0x1000 + 8
        mov     eax, 0
        int     0xff                    ; its frame faults, and that of #PF, and that of #DF
        tried
        is      seen_vector, SHUTDOWN
        call    paging_off
        mov     eax, cr4
        or      eax, 0x10
        mov     cr4, eax
        mov     eax, PD32
        call    paging_on
        case    'Global page: gone after INVLPG'
        mov     eax, cr4
        or      eax, 0x80
        mov     cr4, eax
        mov     dword [TEST_PT], TEST_PHYS | 0x107
        call    flush
        fine    mov al, [TEST_VA]
        mov     dword [TEST_PT], 0
        invlpg  [TEST_VA]
        faults  14, 0, mov al, [TEST_VA]
        call    paging_off

        ; PAE
        call    clear_tables
        mov     dword [PDPT_PAE], PD_PAE | 1
        mov     dword [PD_PAE], 0x83
        mov     dword [PD_PAE + 8], 0x200083
        mov     dword [PD_PAE + 48], USER_PT | 7
        mov     ecx, EFER_MSR
        rdmsr
        or      eax, 0x800
        wrmsr
        mov     eax, cr4
        or      eax, 0x20
        mov     cr4, eax
        mov     eax, PDPT_PAE
        call    paging_on
        case    'PAE: reserved bits'
        mov     dword [PD_PAE + 32], TEST_PT | 7
        mov     dword [PD_PAE + 36], 0
        mov     dword [TEST_PT], TEST_PHYS | 7
        mov     dword [TEST_PT + 4], 0x00100000 ; bit 52
        call    flush
        faults  14, 9, mov al, [TEST_VA]
        mov     dword [TEST_PT + 4], 0x40000000 ; bit 62
        call    flush
        faults  14, 11, mov [TEST_VA], al
        mov     dword [TEST_PT + 4], 0
        mov     dword [PD_PAE + 36], 0x00200000
        call    flush
        faults  14, 9, mov al, [TEST_VA]
        mov     dword [PD_PAE + 36], 0
        mov     dword [PD_PAE + 32], 0x2087 ; 2 MiB, bit 13
        call    flush
        faults  14, 9, mov al, [TEST_VA]
        mov     dword [PD_PAE + 32], 0x100087
        call    flush
        faults  14, 9, mov al, [TEST_VA]
        case    'PAE: NX without NXE is reserved'
        mov     dword [PD_PAE + 32], TEST_PT | 7
        mov     dword [TEST_PT + 4], 0x80000000
        mov     ecx, EFER_MSR
        rdmsr
        and     eax, ~0x800
        wrmsr
        call    flush
        faults  14, 9, mov al, [TEST_VA]
        mov     ecx, EFER_MSR
        rdmsr
        or      eax, 0x800
        wrmsr
        mov     dword [TEST_PT + 4], 0
        case    'PAE: 2 MiB page, PAT bit'
        mov     dword [PD_PAE + 32], 0x201087
        call    flush
        fine    mov al, [TEST_VA]
        case    'PAE: PDPTE not present'
        faults  14, 0, mov al, [0x40000000]
        is      seen_cr2, 0x40000000
        case    'PAE: PDPTEs are read by MOV CR3 alone'
        mov     dword [PDPT_PAE + 8], PD_PAE | 1
        faults  14, 0, mov al, [0x40000000]
        call    flush
        fine    mov al, [0x40000000]
        case    'PAE: reserved bits of PDPTEs are #GP of MOV CR3'
        mov     dword [PDPT_PAE + 8], PD_PAE | 3
        mov     eax, cr3
        faults  13, 0, mov cr3, eax
        mov     dword [PDPT_PAE + 8], PD_PAE | 0x21
        mov     eax, cr3
        faults  13, 0, mov cr3, eax
        mov     dword [PDPT_PAE + 8], PD_PAE | 1
        mov     dword [PDPT_PAE + 12], 0x80000000
        mov     eax, cr3
        faults  13, 0, mov cr3, eax
        case    'PAE: not of one that is not present'
        mov     dword [PDPT_PAE + 8], 0x1e6
        mov     eax, cr3
        fine    mov cr3, eax
        call    paging_off

        jmp     main64

EFER_MSR equ    0xc0000080
%include "long.inc"
        bits    32
main64: call    enter_long
        bits    64
        mov     dword [PD], 0x83
        mov     dword [PD + 8], 0x200083
        mov     dword [USER_PHYS], 0x80cd038b
        mov     dword [USER_PT], USER_PHYS | 7
        mov     dword [PD + 48], USER_PT | 7
        mov     rax, cr3
        mov     cr3, rax

; The user page's read of this address raises it.
%macro user64_at_faults 3
        try
        push    UDATA
        push    USER_VA + 0xff0
        push    2
        push    UCODE64
        push    USER_VA
        mov     ebx, %3
        iretq
        tried
        is      seen_vector, %1
        is      seen_error, %2
        is      seen_cr2, %3
%endmacro
%macro flush64 0
        mov     rax, cr3
        mov     cr3, rax
%endmacro
        case    '4-level: rights of the PDPTE and PML4E count'
        mov     qword [PD + 32], TEST_PT | 7
        mov     qword [TEST_PT], TEST_PHYS | 7
        mov     qword [PDPT + 16], PD + 5
        flush64
        mov     ebx, 0x80000000 + TEST_VA
        faults  14, 3, mov [rbx], al
        fine    mov al, [rbx]
        mov     qword [PDPT + 16], PD + 3
        flush64
        mov     ebx, 0x80000000 + TEST_VA
        fine    mov [rbx], al
        user64_at_faults 14, 5, 0x80000000 + TEST_VA
        mov     qword [PDPT + 16], 0
        mov     qword [PML4 + 8], PDPT + 5
        flush64
        mov     rbx, (1 << 39) + TEST_VA
        faults  14, 3, mov [rbx], al
        mov     rax, PDPT + 7
        bts     rax, 63
        mov     [PML4 + 8], rax
        flush64
        mov     rbx, (1 << 39) + TEST_VA
        mov     byte [TEST_PHYS], 0xc3
        try
        call    rbx
        tried
        is      seen_vector, 14
        is      seen_error, 0x11
        is      seen_ip, (1 << 39) + TEST_VA
        mov     qword [PML4 + 8], 0
        flush64
        case    '4-level: reserved bits'
        mov     rbx, 1 << 51
        or      [TEST_PT], rbx
        flush64
        faults  14, 9, mov al, [TEST_VA]
        mov     qword [TEST_PT], TEST_PHYS | 7
        mov     qword [PD + 32], 0x102087
        flush64
        faults  14, 9, mov al, [TEST_VA]
        mov     qword [PML4 + 8], PDPT + 0x87
        flush64
        mov     rbx, 1 << 39
        faults  14, 9, mov al, [rbx]
        mov     qword [PML4 + 8], 0
        case    '4-level: bits 52 to 62 are ignored'
        mov     rbx, TEST_PHYS | 7 | (0x7ff << 52)
        mov     [TEST_PT], rbx
        mov     qword [PD + 32], TEST_PT | 7
        flush64
        fine    mov al, [TEST_VA]
        mov     qword [TEST_PT], TEST_PHYS | 7
        case    '1 GiB page'
        mov     qword [PDPT + 8], 0x87
        flush64
        mov     dword [TEST_PHYS + 8], 0x600df00d
        mov     eax, [0x40000000 + TEST_PHYS + 8]
        reg_is  rax, 0x600df00d
        mov     qword [PDPT + 8], 0x2087
        flush64
        faults  14, 9, mov al, [0x40000000]
        mov     qword [PDPT + 8], 0
        case    'NX without NXE is reserved'
        mov     ecx, EFER
        rdmsr
        and     eax, ~0x800
        wrmsr
        mov     dword [TEST_PT + 4], 0x80000000
        flush64
        faults  14, 9, mov al, [TEST_VA]
        mov     dword [TEST_PT + 4], 0
        mov     ecx, EFER
        rdmsr
        or      eax, 0x800
        wrmsr
        case    'CR2 holds 64 bits'
        mov     rbx, 0xffff800000001234
        faults  14, 0, mov al, [rbx]
        is      seen_cr2, 0xffff800000001234
        ; The LDT on a user page, read for a segment load at level 3 with AC set.
        mov     qword [PD + 32], TEST_PT | 7
        mov     qword [TEST_PT], TEST_PHYS | 7
        flush64
        mov     rax, [gdt + UDATA - 3]
        mov     [TEST_PHYS + 8], rax
        desc    LDT, TEST_VA, 0xff, P | 2, 0
        mov     eax, LDT
        lldt    ax
        mov     byte [USER_PHYS + 48], 0x8e ; MOV DS, EBX; INT END
        mov     dword [USER_PHYS + 49], 0x0080cddb
%macro implicit 0
        try
        push    UDATA
        push    USER_VA + 0xff0
        push    0x40002
        push    UCODE64
        push    USER_VA + 48
        mov     ebx, 0x0f
        iretq
        tried
%endmacro
        case    'Implicit accesses are of level 0: a supervisor page'
        mov     qword [TEST_PT], TEST_PHYS | 3
        flush64
        implicit
        is      seen_vector, END
        is      seen_ds, 0x0f
        case    'Implicit accesses: SMAP counts whatever AC is'
        mov     qword [TEST_PT], TEST_PHYS | 7
        cr_set  cr4, 0x200000
        flush64
        implicit
        is      seen_vector, 14
        is      seen_error, 1
        is      seen_cr2, TEST_VA + 8
        is      seen_cs, UCODE64
        cr_clear cr4, 0x200000
        case    'STAC, CLAC'
        cr_set  cr4, 0x200000
        flush64
        faults  14, 1, mov al, [TEST_VA]
        stac
        mov     al, [TEST_VA]
        clac
        faults  14, 1, mov al, [TEST_VA]
        cr_clear cr4, 0x200000
        jmp     finish64
