; SPDX-License-Identifier: GPL-2.0-or-later
; Loops of known length between marks on the debug port, in 32-bit protected mode: what is timed is the
; guest's instructions alone. ROUNDS (a number of iterations) is given by bench/run.
%include "say.inc"
        org     0x7c00
        bits    16
        enter_flat

        say     '<registers'
        mov     ecx, ROUNDS
        align   16, nop
.registers:                             ; 10 instructions
        add     eax, ecx
        xor     edx, eax
        lea     ebx, [eax + edx * 4 + 7]
        shl     eax, 3
        sub     ebx, ecx
        and     edx, 0x7fffffff
        or      eax, ebx
        cmp     eax, edx
        dec     ecx
        jnz     .registers
        say     '>'

        say     '<memory'
        mov     ecx, ROUNDS
        mov     esi, 0x100000
        align   16, nop
.memory:                                ; 10 instructions, 3 loads, 2 stores
        mov     eax, [esi]
        add     eax, ecx
        mov     [esi + 64], eax
        mov     ebx, [esi + 128]
        add     [esi + 192], ebx
        lea     edi, [esi + 4]
        and     edi, 0x1fff
        lea     esi, [edi + 0x100000]
        dec     ecx
        jnz     .memory
        say     '>'

        say     '<calls'
        mov     ecx, ROUNDS
        align   16, nop
.calls:                                 ; 10.5 instructions on the average, with the leaf
        call    .leaf
        test    al, 1
        jz      .even
        inc     edx
.even:
        dec     ecx
        jnz     .calls
        say     '>'
        say     '<end>'
        cli
        hlt
.leaf:
        push    ebx
        mov     ebx, ecx
        mov     eax, ebx
        pop     ebx
        ret
        boot_signature
