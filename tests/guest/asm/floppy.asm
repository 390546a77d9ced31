; SPDX-License-Identifier: GPL-2.0-or-later
; A floppy disk of 1.44M whose program does what programs of the 1980s and 1990s did: it loads itself by
; the BIOS, uses its screen, keyboard, clock and memory services, reaches memory above 1 MiB from real mode
; with limits that protected mode left behind ("unreal"), and runs 16-bit code in virtual-8086 mode under a
; small monitor of its own. Each step says its name at port 0xe9.
%include "say.inc"
        org     0x7c00
        bits    16
SECTORS         equ 8           ; of this program, after the boot sector
V86_SEGMENT     equ 0x2000

        cli
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7c00
        sti
        mov     [drive], dl
        mov     ax, 0x0200 | SECTORS    ; INT 13h: read sectors
        mov     bx, 0x7e00
        mov     cx, 2                   ; cylinder 0, sector 2
        mov     dh, 0
        int     0x13
        jc      failed
        jmp     loaded
failed:
        say     '<failed>'
        mov     al, 1
        out     0xf4, al
        hlt
drive:  db      0
        times   510 - ($ - $$) db 0
        dw      0xaa55

loaded:
        say     '<loaded>'

; INT 10h: a mode, a text; the text is in the adapter's memory then.
        mov     ax, 3
        int     0x10
        mov     si, greeting
.next:  lodsb
        test    al, al
        jz      .shown
        mov     ah, 0x0e
        mov     bx, 7
        int     0x10
        jmp     .next
.shown: mov     ax, 0xb800
        mov     es, ax
        mov     si, greeting
        xor     di, di
.same:  lodsb
        test    al, al
        jz      .seen
        cmp     al, [es:di]
        jne     failed
        add     di, 2
        jmp     .same
.seen:  xor     ax, ax
        mov     es, ax
        say     '<screen>'

; INT 13h, further: the geometry; the last sector written, read back, and verified.
        mov     ah, 8
        mov     dl, [drive]
        push    es
        int     0x13
        pop     es
        jc      failed
        cmp     bl, 4                   ; a drive of 1.44M
        jne     failed
        cmp     cx, 0x4f12              ; 80 cylinders, 18 sectors
        jne     failed
        cmp     dh, 1
        jne     failed
        mov     di, buffer
        mov     cx, 256
        mov     ax, 0xbeef
        cld
        rep     stosw
        mov     ax, 0x0301
        call    last_sector
        mov     di, buffer
        mov     cx, 256
        xor     ax, ax
        rep     stosw
        mov     ax, 0x0201
        call    last_sector
        cmp     word [buffer + 510], 0xbeef
        jne     failed
        mov     ax, 0x0401
        call    last_sector
        mov     ax, 0x0201              ; there is no sector 19
        mov     bx, buffer
        mov     cx, 0x0013
        mov     dh, 0
        mov     dl, [drive]
        int     0x13
        jnc     failed
        mov     ah, 0                   ; reset
        mov     dl, [drive]
        int     0x13
        jc      failed
        say     '<disk>'

; INT 15h: the memory map has something above 1 MiB; INT 1Ah: the clock runs.
        xor     ebx, ebx
.map:   mov     eax, 0xe820
        mov     edx, 0x534d4150
        mov     ecx, 20
        mov     di, buffer
        int     0x15
        jc      failed
        cmp     eax, 0x534d4150
        jne     failed
        cmp     dword [buffer], 0x100000
        je      .high
        test    ebx, ebx
        jnz     .map
        jmp     failed
.high:  cmp     dword [buffer + 16], 1
        jne     failed
        say     '<memory>'
        mov     ah, 0
        int     0x1a
        mov     bx, dx
.tick:  hlt
        mov     ah, 0
        int     0x1a
        cmp     bx, dx
        je      .tick
        say     '<clock>'

; INT 16h: the test types a letter.
        mov     ah, 0
        int     0x16
        out     0xe9, al
        say     '<key>'

; Unreal mode: DS gets a limit of 4 GiB in protected mode and keeps it.
        mov     ax, 0x2401
        int     0x15                    ; A20
        cli
        lgdt    [table_pointer]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        mov     bx, DATA
        mov     ds, bx
        and     al, ~1
        mov     cr0, eax
        xor     ax, ax
        mov     ds, ax
        mov     ebx, 0x00345678
        mov     dword [ebx], 0x600dcafe
        inc     dword [ebx]
        sti
        mov     ah, 1                   ; the BIOS, whose interrupts come too, leaves it alone
        int     0x16
        hlt
        cmp     dword [ebx], 0x600dcaff
        jne     failed
        say     '<unreal>'

; Virtual-8086 mode under a monitor in ring 0.
        cli
        lgdt    [table_pointer]
        lidt    [idt_pointer]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     CODE:flat

last_sector:                            ; AX: what to do
        mov     bx, buffer
        mov     cx, 0x4f12
        mov     dh, 1
        mov     dl, [drive]
        int     0x13
        jc      failed
        ret

        bits    32
flat:   mov     ax, DATA
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     esp, 0x7000
        mov     edi, idt                ; #GP and #UD only
        mov     word [idt + 13 * 8], protection
        mov     word [idt + 13 * 8 + 2], CODE
        mov     word [idt + 13 * 8 + 4], 0x8e00
        mov     word [tss + 8], DATA
        mov     dword [tss + 4], 0x6000
        mov     word [tss + 102], 104   ; I/O map
        mov     edi, tss + 104
        mov     ecx, 8192 / 4
        xor     eax, eax
        cld
        rep     stosd
        mov     byte [edi], 0xff
        mov     byte [tss + 104 + 0x80 / 8], 1  ; port 0x80 is the monitor's
        mov     ax, TSS
        ltr     ax
        mov     esi, v86_code
        mov     edi, V86_SEGMENT * 16
        mov     ecx, v86_end - v86_code
        rep     movsb
        push    dword 0x1111            ; GS, FS, DS, ES
        push    dword 0x2222
        push    dword V86_SEGMENT
        push    dword 0x4444
        push    dword V86_SEGMENT       ; SS:ESP
        push    dword 0xfff0
        push    dword 0x00020002        ; VM, IOPL 0
        push    dword V86_SEGMENT
        push    dword 0
        iretd

; Stack: error, EIP, CS, EFLAGS, ESP, SS, ES, DS, FS, GS. The instruction is looked at and done for it.
protection:
        push    eax
        push    ebx
        push    ds
        mov     ax, DATA
        mov     ds, ax
        test    byte [ss:esp + 26], 2   ; came from virtual-8086 mode
        jz      bad
        cmp     word [ss:esp + 36], 0x4444 ; ES as it was there
        jne     bad
        movzx   ebx, word [ss:esp + 20]
        shl     ebx, 4
        add     ebx, [ss:esp + 16]
        mov     ax, [ebx]
        cmp     al, 0xfa                ; CLI
        je      of_one
        cmp     ax, 0x21cd              ; INT 21h
        je      service
        cmp     ax, 0x80e6              ; OUT 80h
        je      port
        cmp     al, 0xf4                ; HLT: the end
        je      end
bad:    say     '<bad>'
        hlt
of_one: say     'c'
        add     dword [ss:esp + 16], 1
        jmp     back
service:
        say     'i'
        add     dword [ss:esp + 16], 2
        jmp     back
port:   say     'o'
        add     dword [ss:esp + 16], 2
back:   pop     ds
        pop     ebx
        pop     eax
        add     esp, 4
        iretd
end:    say     '<v86>'
        mov     al, 2
        out     0xf4, al
        hlt

        bits    16
v86_code:
        cli
        mov     ax, cs
        cmp     ax, V86_SEGMENT
        jne     $
        int     0x21
        mov     al, 'v'
        out     0xe9, al                ; the map allows it
        out     0x80, al                ; and this not
        mov     word [v86_word - v86_code], 0x1234
        cmp     word [cs:v86_word - v86_code], 0x1234
        jne     $
        hlt
v86_word:
        dw      0
v86_end:

greeting: db    'BIOS', 0
        align   8, db 0
table:  dq      0
CODE    equ     $ - table
        dq      0x00cf9a000000ffff
DATA    equ     $ - table
        dq      0x00cf92000000ffff
TSS     equ     $ - table
        dw      104 + 8192, tss
        db      0, 0x89, 0, 0
table_pointer:
        dw      $ - table - 1
        dd      table
idt_pointer:
        dw      14 * 8 - 1
        dd      idt
        times   512 * (1 + SECTORS) - ($ - $$) db 0
        times   1474560 - ($ - $$) db 0
        absolute 0xa000
buffer: resb    512
idt:    resb    14 * 8
tss:    resb    104 + 8192 + 1
