; SPDX-License-Identifier: GPL-2.0-or-later
; Loops of known length between marks on the debug port, in 32-bit protected mode: what is timed is the
; guest's instructions alone. ROUNDS (a number of iterations) is given by bench/loops.
%include "say.inc"
%define mark say
%define AREA 0x100000
SECTORS equ 16
TABLES  equ 0x400000                    ; page directory, then the tables of 32 MiB
PAGES   equ 8192

        org     0x7c00
        bits    16
        xor     ax, ax                  ; the rest of the image, behind this sector
        mov     es, ax
        mov     ax, 0x0200 | SECTORS
        mov     bx, 0x7e00
        mov     cx, 2
        mov     dh, 0
        int     0x13
        enter_flat
        jmp     rest
        times   510 - ($ - $$) db 0
        dw      0xaa55

rest:
        mov     eax, cr4
        or      eax, 0x600              ; OSFXSR, OSXMMEXCPT
        mov     cr4, eax
%include "loops.inc"

        ; Pages of 4 KiB, eight times as many as most TLBs hold, one load in each.
        mov     edi, TABLES
        xor     eax, eax
        mov     ecx, 1024
        rep     stosd
        mov     eax, 7
        mov     ecx, PAGES
.page:
        stosd
        add     eax, 4096
        loop    .page
        mov     eax, (TABLES + 4096) | 7
        mov     edi, TABLES
        mov     ecx, PAGES / 1024
.table:
        stosd
        add     eax, 4096
        loop    .table
        mov     eax, TABLES
        mov     cr3, eax
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
        mark    '<pages'
        mov     ecx, ROUNDS / 8
        xor     esi, esi
        align   16, nop
.walk:                                  ; 5, a page walk in each
        mov     eax, [esi]
        add     esi, 4096 + 4
        and     esi, PAGES * 4096 - 1
        dec     ecx
        jnz     .walk
        mark    '>'

        ; From level 3 to level 0 and back.
        lgdt    [gdtr]
        lidt    [idtr]
        mov     ax, 0x28
        ltr     ax
        push    dword 0x23
        push    dword 0x6000
        push    dword 0x3002            ; IOPL 3: the marks
        push    dword 0x1b
        push    dword user
        iretd
user:
        mov     ax, 0x23
        mov     ds, ax
        mov     es, ax
        mark    '<interrupts'
        mov     ecx, ROUNDS / 16
        align   16, nop
.interrupt:                             ; 5, with the handler
        int     0x30
        dec     ecx
        jnz     .interrupt
        mark    '>'
        mark    '<end>'
        int     0x31

handler:
        inc     edx
        iretd
stop:
        cli
        hlt
        jmp     stop

        align   8
gdt:
        dq      0
        dq      0x00cf9a000000ffff
        dq      0x00cf92000000ffff
        dq      0x00cffa000000ffff
        dq      0x00cff2000000ffff
        dw      103, tss, 0x8900, 0
gdtr:
        dw      gdtr - gdt - 1
        dd      gdt
        align   8
idt:
        times   0x30 dq 0
        dw      handler, 8, 0xee00, 0
        dw      stop, 8, 0xee00, 0
idtr:
        dw      idtr - idt - 1
        dd      idt
        align   8
tss:
        dd      0, 0x7000, 0x10
        times   23 dd 0
        times   512 * (SECTORS + 1) - ($ - $$) db 0
        times   1048576 - ($ - $$) db 0
