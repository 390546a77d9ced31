; SPDX-License-Identifier: GPL-2.0-or-later
; Every timer of the board, periodic and as fast as it takes: the PIT in each mode with counts 0 and 1,
; the RTC at its highest rates, the HPET's comparators with period 0, the local APIC's timer with count 1.
; Then interrupts are let in, to a handler that does nothing but acknowledge.
%include "say.inc"
        org     0x7c00
        bits    16
        enter_flat

        ; A handler for all 256 vectors at 0x10000, the table at 0x11000.
        mov     edi, 0x11000
        mov     ecx, 256
.gate:
        mov     dword [edi], (8 << 16) | (handler - $$ + 0x7c00)
        mov     dword [edi + 4], 0x8e00
        add     edi, 8
        loop    .gate
        lidt    [idt]
        ; Both 8259 with vectors from 0x20, nothing masked.
        mov     al, 0x11
        out     0x20, al
        out     0xa0, al
        mov     al, 0x20
        out     0x21, al
        mov     al, 0x28
        out     0xa1, al
        mov     al, 4
        out     0x21, al
        mov     al, 2
        out     0xa1, al
        mov     al, 1
        out     0x21, al
        out     0xa1, al
        xor     al, al
        out     0x21, al
        out     0xa1, al

        ; PIT: channels 0 and 2, modes 0 to 5, counts 0 and 1; mode 2 with count 1 is left in channel 0.
        mov     bl, 0x30
.mode:
        mov     al, bl
        out     0x43, al
        xor     al, al
        out     0x40, al
        out     0x40, al
        mov     al, bl
        or      al, 0x80
        out     0x43, al
        mov     al, 1
        out     0x42, al
        xor     al, al
        out     0x42, al
        add     bl, 2
        cmp     bl, 0x3c
        jb      .mode
        mov     al, 0x34
        out     0x43, al
        mov     al, 1
        out     0x40, al
        xor     al, al
        out     0x40, al

        ; RTC: rates 1 to 15, rate 3 (8192 Hz) stays; all interrupts on.
        mov     bl, 15
.rate:
        mov     al, 0x0a
        out     0x70, al
        mov     al, bl
        or      al, 0x20
        out     0x71, al
        dec     bl
        cmp     bl, 3
        jae     .rate
        mov     al, 0x0b
        out     0x70, al
        mov     al, 0x72
        out     0x71, al

        ; HPET: on, comparators level and periodic, period 0, then comparator 0.
        mov     esi, 0xfed00000
        mov     ecx, 3
        lea     edi, [esi + 0x100]
.comparator:
        mov     dword [edi], 0x4e
        mov     dword [edi + 8], 0
        mov     dword [edi + 12], 0
        mov     dword [edi], 0x4c
        add     edi, 0x20
        loop    .comparator
        mov     dword [esi + 0x10], 3

        ; Local APIC timer: divide by 1, periodic, count 1.
        mov     esi, 0xfee00000
        mov     dword [esi + 0xf0], 0x1ff
        mov     dword [esi + 0x3e0], 0x0b
        mov     dword [esi + 0x320], 0x20040
        mov     dword [esi + 0x380], 1

        say     '<armed>'
        sti
.rest:
        hlt
        jmp     .rest

handler:
        push    eax
        mov     al, 0x20
        out     0xa0, al
        out     0x20, al
        mov     al, 0x0c
        out     0x70, al
        in      al, 0x71
        mov     dword [0xfed00020], 7
        mov     dword [0xfee000b0], 0
        pop     eax
        iret
idt:
        dw      256 * 8 - 1
        dd      0x11000
        boot_signature
