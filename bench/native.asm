; SPDX-License-Identifier: GPL-2.0-or-later
; bench/loops.inc as a 32-bit program of the host, marks on standard output; after each it
; waits for a byte of standard input.
%macro mark 1
%strlen length %1
        push    ebx
        push    ecx
        push    edx
        mov     eax, 4                  ; write
        mov     ebx, 1
        mov     ecx, %%text
        mov     edx, length
        int     0x80
        mov     eax, 3                  ; read
        xor     ebx, ebx
        mov     ecx, area
        mov     edx, 1
        int     0x80
        pop     edx
        pop     ecx
        pop     ebx
        jmp     %%on
%%text: db      %1
%%on:
%endmacro

        bits    32
        global  _start
        section .bss
        align   4096
area:   resb    65536
%define AREA area
        section .text
_start:
%include "loops.inc"
        mark    '<end>'
        mov     eax, 1                  ; exit
        xor     ebx, ebx
        int     0x80
