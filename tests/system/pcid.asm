; SPDX-License-Identifier: GPL-2.0-or-later
; Process-context identifiers: address spaces that keep their translations, and what must not be kept:
; SDM 3A 4.10. Each space has its own page at WINDOW, with data and code; what was seen through
; translations that may be stale is never tested.
%include "common.inc"
%include "long.inc"

%define PCIDE           (1 << 17)
%define KEEP            (1 << 63)
%define SPACES          12
%define ROUNDS          30
%define WINDOW          0x40000000      ; 4 KiB of it
%define SHARED          0x40001000      ; global
%define TABLES          PLAY + 0x10000  ; 16 KiB for each space: PML4, PDPT, PD, PT
%define PAGES           PLAY + 0x80000  ; a page for each space, and one more for each
%define table(n, level) (TABLES + (n) * 0x4000 + (level) * 0x1000)

; rax = space: goes there, as rdx says of bit 63
%macro go 0
        call    go_there
%endmacro
; invpcid TYPE, PCID, ADDRESS
%macro forget 3
        mov     qword [SCRATCH], %2
        mov     rax, %3
        mov     [SCRATCH + 8], rax
        mov     eax, %1
        invpcid rax, [SCRATCH]
%endmacro

main:
        call    enter_long
        bits    64
        ; The spaces: 1 GiB as everywhere, then the window.
        xor     ebx, ebx
.space: mov     rdi, rbx
        shl     rdi, 14
        add     rdi, TABLES
        mov     rsi, rdi
        xor     eax, eax
        mov     ecx, 0x4000 / 8
        rep     stosq
        lea     rax, [rsi + 0x1007]
        mov     [rsi], rax
        mov     qword [rsi + 0x1000], PD + 7
        lea     rax, [rsi + 0x2007]
        mov     [rsi + 0x1008], rax
        lea     rax, [rsi + 0x3007]
        mov     [rsi + 0x2000], rax
        mov     rdi, rbx
        shl     rdi, 12
        add     rdi, PAGES
        lea     rax, [rdi + 7]
        mov     [rsi + 0x3000], rax
        mov     qword [rsi + 0x3008], PAGES + 2 * SPACES * 0x1000 + 0x107
        call    fill_page
        add     rdi, SPACES * 0x1000    ; its other page says 100 more
        lea     rbx, [rbx + 100]
        call    fill_page
        lea     rbx, [rbx - 100]
        inc     ebx
        cmp     ebx, SPACES
        jb      .space
        mov     qword [PAGES + 2 * SPACES * 0x1000], 0x5a
        cr_set  cr4, PCIDE

        case    'Data and code at one address in many spaces'
        mov     qword [differ], 0
        try
        mov     ebp, ROUNDS
.round: xor     ebx, ebx
.next:  mov     rax, rbx
        mov     rdx, KEEP
        go
        mov     rcx, [WINDOW]
        sub     rcx, rbx
        or      [differ], rcx
        call    call_window
        sub     rcx, rbx
        or      [differ], rcx
        inc     ebx
        cmp     ebx, SPACES
        jb      .next
        dec     ebp
        jnz     .round
        tried
        is      seen_vector, NOTHING
        is      differ, 0

        case    'The same at level 3, two spaces by turns'
        msr     0xc0000081, 0x001b003000000000
        msr     0xc0000082, abs(kernel_switch)
        msr     0xc0000084, 0x47ffd5
        mov     qword [differ], 0
        mov     qword [user_flags], 0x202
        try
        to_user64
        mov     ebp, ROUNDS * 4
.again: mov     ebx, ebp
        and     ebx, 1
        mov     eax, ebx
        syscall
        mov     rcx, [WINDOW]
        sub     rcx, rbx
        or      [differ], rcx
        call    call_window
        sub     rcx, rbx
        or      [differ], rcx
        dec     ebp
        jnz     .again
        int     END
        tried
        is      seen_vector, END
        is      differ, 0

        case    'More spaces at level 3 than are kept'
        mov     qword [differ], 0
        try
        to_user64
        mov     ebp, ROUNDS
.round3: xor     ebx, ebx
.next3: mov     eax, ebx
        syscall
        mov     rcx, [WINDOW]
        sub     rcx, rbx
        or      [differ], rcx
        call    call_window
        sub     rcx, rbx
        or      [differ], rcx
        inc     ebx
        cmp     ebx, SPACES
        jb      .next3
        dec     ebp
        jnz     .round3
        int     END
        tried
        is      seen_vector, END
        is      differ, 0

        case    'MOV to CR3 without bit 63 forgets'
        xor     eax, eax
        xor     edx, edx
        call    change
        mov     rax, [where]
        xor     edx, edx
        go
        call    look
        is      value, 100
        is      called, 100
        case    'INVLPG forgets what is running'
        mov     eax, 1
        call    change
        invlpg  [WINDOW]
        call    look
        is      value, 101
        is      called, 101
        case    'INVPCID of one address, elsewhere'
        mov     eax, 2
        call    change
        mov     eax, 0
        mov     rdx, KEEP
        go
        forget  0, 3, WINDOW
        call    back
        call    look
        is      value, 102
        is      called, 102
        case    'INVPCID of one space, elsewhere'
        mov     eax, 3
        call    change
        mov     eax, 0
        mov     rdx, KEEP
        go
        forget  1, 4, 0
        call    back
        call    look
        is      value, 103
        is      called, 103
        case    'INVPCID of the space that runs'
        mov     eax, 4
        call    change
        forget  1, 5, 0
        call    look
        is      value, 104
        is      called, 104
        case    'INVPCID of all'
        mov     eax, 5
        call    change
        mov     eax, 0
        mov     rdx, KEEP
        go
        forget  2, 0, 0
        call    back
        call    look
        is      value, 105
        is      called, 105
        case    'INVPCID of all but global pages'
        mov     eax, 6
        call    change
        mov     eax, 0
        mov     rdx, KEEP
        go
        forget  3, 0, 0
        call    back
        call    look
        is      value, 106
        is      called, 106
        case    'A global page, forgotten by INVLPG in another space'
        mov     qword [differ], 0
        xor     ebx, ebx
.seen:  mov     rax, rbx
        mov     rdx, KEEP
        go
        mov     rcx, [SHARED]
        sub     rcx, 0x5a
        or      [differ], rcx
        inc     ebx
        cmp     ebx, 4
        jb      .seen
        xor     ebx, ebx
.move:  mov     rsi, rbx                ; to the page of space 9
        shl     rsi, 14
        mov     qword [rsi + table(0, 3) + 8], PAGES + 9 * 0x1000 + 0x107
        inc     ebx
        cmp     ebx, SPACES
        jb      .move
        invlpg  [SHARED]
        xor     ebx, ebx
.look:  mov     rax, rbx
        mov     rdx, KEEP
        go
        mov     rcx, [SHARED]
        sub     rcx, 9
        or      [differ], rcx
        inc     ebx
        cmp     ebx, 4
        jb      .look
        is      differ, 0
        case    'A page that is no longer there'
        mov     eax, 7
        mov     rdx, KEEP
        go
        call    look
        mov     qword [table(7, 3)], 0
        mov     eax, 7
        xor     edx, edx
        go
        faults  14, 0, mov rax, [WINDOW]
        case    'Code written in one space, run in another'
        mov     eax, 8
        mov     rdx, KEEP
        go
        call    look
        is      called, 8
        mov     eax, 10
        mov     rdx, KEEP
        go
        mov     byte [PAGES + 8 * 0x1000 + 9], 77
        mov     eax, 8
        mov     rdx, KEEP
        go
        call    look
        is      called, 77
        case    'Off and on again'
        xor     eax, eax
        mov     rcx, PML4
        mov     cr3, rcx
        cr_clear cr4, PCIDE
        mov     rcx, table(9, 0)
        mov     cr3, rcx
        call    look
        is      value, 9
        mov     rcx, table(10, 0)
        mov     cr3, rcx
        call    look
        is      value, 10
        cr_set  cr4, PCIDE
        call    look
        is      value, 10
        mov     eax, 11
        mov     rdx, KEEP
        go
        call    look
        is      value, 11
        case    'INVPCID: what it refuses'
        mov     eax, 4
        faults  13, 0, invpcid rax, [SCRATCH]
        mov     qword [SCRATCH], 0x1000
        mov     eax, 1
        faults  13, 0, invpcid rax, [SCRATCH]
        mov     qword [SCRATCH], 0
        jmp     finish64

; rdi = a page: the number in ebx as data, and at 8 code that has it in ecx: push imm8; pop rcx; ret
fill_page:
        mov     [rdi], rbx
        mov     byte [rdi + 8], 0x6a
        mov     [rdi + 9], bl
        mov     word [rdi + 10], 0xc359
        ret
go_there:
        push    rax
        push    rcx
        lea     rcx, [rax + 1]          ; its PCID
        shl     rax, 14
        lea     rax, [rax + rcx + table(0, 0)]
        or      rax, rdx
        mov     cr3, rax
        pop     rcx
        pop     rax
        ret
call_window:
        mov     eax, WINDOW + 8
        call    rax
        ret
look:
        push    rax
        push    rcx
        mov     rcx, [WINDOW]
        mov     [value], rcx
        call    call_window
        movzx   ecx, cl                 ; push sign-extends
        mov     [called], rcx
        pop     rcx
        pop     rax
        ret
; Goes to space eax, looks at its page, has the window lead to its other one.
change:
        mov     [where], rax
        mov     rdx, KEEP
        go
        call    look
        call    look
        mov     rsi, rax
        shl     rsi, 14
        mov     rdi, rax
        shl     rdi, 12
        lea     rdi, [rdi + PAGES + SPACES * 0x1000 + 7]
        mov     [rsi + table(0, 3)], rdi
        ret
back:
        mov     rax, [where]
        mov     rdx, KEEP
        go
        ret
; Space eax, from level 3.
kernel_switch:
        mov     [kernel_rsp], rsp
        mov     esp, KSTACK - 0x200
        push    rdx
        mov     rdx, KEEP
        go
        pop     rdx
        mov     rsp, [kernel_rsp]
        o64 sysret

        align   8
differ:         dq      0
value:          dq      0
called:         dq      0
where:          dq      0
kernel_rsp:     dq      0
