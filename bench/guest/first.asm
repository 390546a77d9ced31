; SPDX-License-Identifier: GPL-2.0-or-later
; Firmware that says '!' on the debug port with the processor's first instructions.
        bits    16
        org     0
start:
        mov     al, '!'
        out     0xe9, al
stop:
        hlt
        jmp     stop
        times   0xfff0 - ($ - $$) db 0xf4
        jmp     start
        times   0x10000 - ($ - $$) db 0
