; SPDX-License-Identifier: GPL-2.0-or-later
; Says so and ends the process through isa-debug-exit with 7 (exit status 15).
%include "say.inc"
        org     0x7c00
        bits    16
        say     '<alive>'
        mov     al, 7
        mov     dx, 0x501
        out     dx, al
        cli
        hlt
        boot_signature
