; SPDX-License-Identifier: GPL-2.0-or-later
; What CPUID answers, to the debug port: a line "leaf subleaf eax ebx ecx edx" in hexadecimal for each leaf of
; the basic, the extended and the hypervisor's range, ten subleaves of those that have any. Then off by isa-debug-exit.
%include "say.inc"
        org     0x7c00
        bits    16
        cli
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7000
        cld
        xor     ebp, ebp
        call    range
        mov     ebp, 0x80000000
        call    range
        mov     ebp, 0x40000000
        call    range
        say     '<end>'
        out     0xf4, al
        hlt

; All leaves of the range that begins at EBP, whose first leaf says which is the last.
range:
        mov     eax, ebp
        cpuid
        mov     [last], eax
.leaf:  xor     esi, esi
.subleaf:
        mov     eax, ebp
        call    hex
        mov     eax, esi
        call    hex
        mov     eax, ebp
        mov     ecx, esi
        cpuid
        push    edx
        push    ecx
        push    ebx
        call    hex
        pop     eax
        call    hex
        pop     eax
        call    hex
        pop     eax
        call    hex
        mov     al, 10
        out     0xe9, al
        mov     di, many
        mov     cx, many_end - many
        mov     ax, bp
        test    ebp, 0x40000000
        jnz     .next
        repne   scasb
        jne     .next
        inc     esi
        cmp     esi, 10
        jb      .subleaf
.next:  inc     ebp
        mov     eax, [last]
        sub     eax, ebp
        jc      .done
        cmp     eax, 0x40           ; a last leaf that is nonsense: enough
        jb      .leaf
.done:  ret

; EAX in eight digits and a space.
hex:
        mov     ecx, 8
.digit: rol     eax, 4
        push    ax
        and     al, 15
        cmp     al, 10
        sbb     al, 0x69
        das
        out     0xe9, al
        pop     ax
        loop    .digit
        mov     al, ' '
        out     0xe9, al
        ret

many:   db      4, 7, 0xb, 0xd, 0x12, 0x14, 0x1d
many_end:
last:   dd      0
        boot_signature
