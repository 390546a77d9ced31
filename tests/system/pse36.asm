; SPDX-License-Identifier: GPL-2.0-or-later
; Bits 13 to 21 of the entry of a 4 MiB page, by what the model has of PSE-36: bits of the address, or
; reserved. SDM 3A 4.3, table 4-4.
%include "common.inc"

%define PD32            PLAY
%define TEST_VA         0x800000

        bits    32
first_reserved: dq 13                   ; the first of bits 13-21 that must be 0
tested: dq      0

main:
        mov     eax, 1
        cpuid
        test    edx, 1 << 17
        jz      .known
        mov     dword [first_reserved], 36 - 19
        mov     eax, 0x80000000
        cpuid
        cmp     eax, 0x80000008
        jb      .known
        mov     eax, 0x80000008
        cpuid
        movzx   eax, al
        cmp     eax, 40
        jbe     .width
        mov     eax, 40
.width: sub     eax, 19
        mov     [first_reserved], eax
.known: mov     edi, PD32
        xor     eax, eax
        mov     ecx, 0x400
        rep     stosd
        mov     dword [PD32], 0x87
        mov     eax, cr4
        or      eax, 0x10
        mov     cr4, eax
        mov     eax, PD32
        mov     cr3, eax
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax

%assign bit 13
%rep 9
%defstr number bit
%strcat name '4 MiB page: bit ', number, ' of its entry'
        case    name
        mov     dword [PD32 + 8], 0x87 | (1 << bit)
        mov     eax, cr3
        mov     cr3, eax
        cmp     dword [first_reserved], bit
        ja      fine_%[bit]
        faults  14, 9, mov al, [TEST_VA + 0x1234]
        is      seen_cr2, TEST_VA + 0x1234
        faults  14, 11, mov [TEST_VA + 0x1234], al
        user_faults 14, 13, mov al, [TEST_VA + 0x1234]
        is      PD32 + 8, 0x87 | (1 << bit) ; neither accessed nor dirty
        jmp     next_%[bit]
fine_%[bit]:
        fine    mov al, [TEST_VA + 0x1234]
        is      PD32 + 8, 0xa7 | (1 << bit)
next_%[bit]:
%assign bit bit+1
%endrep
        case    '4 MiB page: bit 12 is PAT, or reserved'
        mov     eax, 1
        cpuid
        mov     dword [PD32 + 8], 0x87 | (1 << 12)
        mov     eax, cr3
        mov     cr3, eax
        test    edx, 1 << 16
        jz      .no_pat
        fine    mov al, [TEST_VA]
        jmp     .pat
.no_pat:
        faults  14, 9, mov al, [TEST_VA]
.pat:
        case    'Without CR4.PSE nothing is reserved'
        mov     eax, cr0
        and     eax, 0x7fffffff
        mov     cr0, eax
        mov     eax, cr4
        and     eax, ~0x10
        mov     cr4, eax
        mov     edi, PD32 + 0x1000      ; the first 4 MiB by a table
        mov     eax, 7
.fill:  stosd
        add     eax, 0x1000
        cmp     eax, 0x400007
        jb      .fill
        mov     dword [PD32], PD32 + 0x1007
        mov     dword [PD32 + 8], (PD32 + 0x1000) | 0x87
        mov     dword [PD32 + 0x1000], 0x1e7087 ; PS is PAT here
        mov     eax, PD32
        mov     cr3, eax
        mov     eax, cr0
        or      eax, 0x80000000
        mov     cr0, eax
        mov     byte [0x1e7123], 0x5a
        mov     al, 0
        fine    mov al, [TEST_VA + 0x123]
        reg_is  eax, 0x5a, 0xff
        mov     eax, cr0
        and     eax, 0x7fffffff
        mov     cr0, eax
        ret
