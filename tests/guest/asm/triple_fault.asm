; SPDX-License-Identifier: GPL-2.0-or-later
; An interrupt with no interrupt table: the processor shuts down.
%include "say.inc"
        org     0x7c00
        bits    16
        cli
        xor     ax, ax
        mov     ds, ax
        say     '<triple>'
        lidt    [nothing]
        int3
nothing:
        dw      0
        dd      0
        boot_signature
