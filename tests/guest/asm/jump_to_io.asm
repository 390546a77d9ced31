; SPDX-License-Identifier: GPL-2.0-or-later
; Goes on executing at TARGET, where no memory is.
%include "say.inc"
        org     0x7c00
        bits    16
        enter_flat
        say     '<jump>'
        mov     eax, TARGET
        jmp     eax
        boot_signature
