; SPDX-License-Identifier: GPL-2.0-or-later
; A multiboot 1 kernel in a flat file: checks what the boot loader promises (section 3.2 and 3.3 of the
; specification) and says its command line and its module on the debug port.
        org     0x100000
        bits    32
MAGIC   equ     0x1badb002
FLAGS   equ     0x00010003              ; aligned modules, memory, addresses given here
header:
        dd      MAGIC, FLAGS, -(MAGIC + FLAGS)
        dd      header, header, end, memory_end, start
start:
        mov     esp, memory_end
        cmp     eax, 0x2badb002
        jne     failed
        mov     eax, cr0                ; protected mode without paging, interrupts off
        and     eax, 0x80000001
        cmp     eax, 1
        jne     failed
        pushfd
        test    dword [esp], 1 << 9
        jnz     failed
        cmp     dword [zeroed], 0
        jne     failed
        mov     ebp, [ebx]
        and     ebp, 0x4d               ; memory, command line, modules, memory map
        cmp     ebp, 0x4d
        jne     failed
        cmp     dword [ebx + 4], 600    ; KiB below and above 1 MiB
        jb      failed
        cmp     dword [ebx + 8], 60 * 1024
        jb      failed
        mov     al, '<'
        out     0xe9, al
        mov     esi, [ebx + 16]
        call    say
        cmp     dword [ebx + 20], 2
        jne     failed
        mov     edi, [ebx + 24]
        call    module
        add     edi, 16
        call    module
        mov     al, '>'
        out     0xe9, al
        xor     eax, eax
        jmp     exit
failed:
        mov     al, 1
exit:                                   ; isa-debug-exit: status 2 * AL + 1
        out     0xf4, al
        hlt
say:                                    ; ESI: a string with its NUL
        lodsb
        test    al, al
        jz      .done
        out     0xe9, al
        jmp     say
.done:
        ret
module:                                 ; EDI: start, end, string
        mov     al, '|'
        out     0xe9, al
        test    dword [edi], 0xfff
        jnz     failed
        mov     esi, [edi + 8]
        call    say
        mov     al, '='
        out     0xe9, al
        mov     esi, [edi]
.next:
        cmp     esi, [edi + 4]
        jae     .done
        lodsb
        out     0xe9, al
        jmp     .next
.done:
        ret
end:
zeroed  equ     end + 8
memory_end equ  end + 8192
