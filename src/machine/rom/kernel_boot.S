/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The option ROM behind -kernel. The firmware runs first (it makes the ACPI tables, the memory map
 * and the VGA BIOS); then, as the first boot device, it calls this ROM's bootstrap entry vector
 * (Plug and Play BIOS 1.0A, 3.2 and 3.4), which
 *
 *   - finds the file etc/trapeze/boot in fw_cfg and reads its header and its table of segments,
 *   - copies each segment to its place with fw_cfg DMA, which reaches all of memory from real mode,
 *   - fills in the firmware's memory map and the place of the RSDP where the kernel wants them,
 *   - starts the kernel in real or in protected mode.
 *
 * machine/boot.c writes the file, boot_file.h has its layout. Low memory meanwhile: stack below
 * 0x8000, scratch from 0x8000; see boot_file.h too. The ROM itself may be write-protected.
 * boot.c fills in the ROM's length and its two checksums. Data to the C compiler, hence rodata.
 */

    .set SCRATCH,       0x8000      /* BOOT_SCRATCH; the header is read to here */
    .set H_MAGIC,       SCRATCH + 0
    .set H_MODE,        SCRATCH + 4
    .set H_ENTRY,       SCRATCH + 8
    .set H_EAX,         SCRATCH + 12
    .set H_EBX,         SCRATCH + 16
    .set H_MAP_AT,      SCRATCH + 20
    .set H_MAP_MAX,     SCRATCH + 24
    .set H_COUNT_AT,    SCRATCH + 28
    .set H_BYTES_AT,    SCRATCH + 32
    .set H_UPPER_AT,    SCRATCH + 36
    .set H_RSDP_AT,     SCRATCH + 40
    .set H_SEGMENTS,    SCRATCH + 44
    .set HEADER_SIZE,   64
    .set DMA,           SCRATCH + 0x40
    .set UPPER,         SCRATCH + 0x50
    .set TABLE,         SCRATCH + 0x100
    .set DIRECTORY,     SCRATCH + 0x300
    .set GDT,           SCRATCH + 0x400
    .set GDTR,          SCRATCH + 0x440
    .set FAR_POINTER,   SCRATCH + 0x448

    .set MAGIC,         0x54425a54  /* "TZBT" */
    .set SMAP,          0x534d4150
    .set DMA_READ,      2
    .set DMA_SELECT,    8
    .set KEY_DIRECTORY, 0x19

    .section .rodata.boot_rom, "a"
    .intel_syntax noprefix
    .code16
    .globl boot_rom_start
    .globl boot_rom_end
    .globl boot_rom_pnp

boot_rom_start:
    .byte 0x55, 0xaa
    .byte 0                         /* length in 512 bytes */
init:
    mov ax, 0x20                    /* "an IPL device is attached" */
    retf

    .org 0x1a
    .word boot_rom_pnp - boot_rom_start

    .balign 16
boot_rom_pnp:
    .ascii "$PnP"
    .byte 1, 2                      /* revision; length in 16 bytes */
    .word 0                         /* next header */
    .byte 0, 0                      /* reserved; checksum */
    .long 0                         /* device */
    .word maker - boot_rom_start
    .word product - boot_rom_start
    .byte 0, 0, 0                   /* class */
    .byte 0x04                      /* may be used as initial program load device */
    .word 0, 0                      /* BCV, disconnect vector */
    .word boot - boot_rom_start     /* BEV */
    .word 0, 0

maker:
    .asciz "Trapeze"
product:
    .asciz "Trapeze kernel loader"
file_name:
    .asciz "etc/trapeze/boot"
    .set FILE_NAME_SIZE, . - file_name
no_file:
    .asciz "Trapeze: no kernel to be found in fw_cfg\r\n"

    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff        /* 0x08: code, 32 bits, flat */
    .quad 0x00cf93000000ffff        /* 0x10: data, flat */
    .quad 0x0000890000000067        /* 0x18: a TSS at 0, as PVH wants one */
    .set GDT_SIZE, . - gdt

boot:
    cli
    cld
    xor ax, ax
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov esp, SCRATCH
    sti
    call find_file                  /* eax: what selects it */
    mov ecx, HEADER_SIZE
    mov edi, SCRATCH
    call dma
    cmp dword ptr [H_MAGIC], MAGIC
    jne fail
    mov eax, DMA_READ
    mov ecx, [H_SEGMENTS]
    shl ecx, 3
    mov edi, TABLE
    call dma
    call copy_segments
    call give_map
    call give_rsdp
    cmp dword ptr [H_MODE], 0
    je start_real
    jmp start_protected

fail:
    mov si, offset no_file - boot_rom_start
1:  mov al, cs:[si]
    inc si
    test al, al
    jz 2f
    mov ah, 0x0e
    mov bx, 7
    int 0x10
    jmp 1b
2:  int 0x18                        /* the next boot device */
3:  hlt
    jmp 3b

/* Does the fw_cfg transfer of control word eax, ecx bytes, to address edi. Keeps esi and ebp. */
dma:
    bswap eax
    bswap ecx
    bswap edi
    mov [DMA], eax
    mov [DMA + 4], ecx
    mov dword ptr [DMA + 8], 0
    mov [DMA + 12], edi
    xor eax, eax
    mov dx, 0x514
    out dx, eax
    mov eax, DMA
    bswap eax
    mov dx, 0x518
    out dx, eax
1:  mov eax, [DMA]
    bswap eax
    test eax, 0xfffffffe
    jnz 1b
    test al, 1
    jnz fail
    ret

/* The control word in eax that selects and reads the file. */
find_file:
    mov eax, (KEY_DIRECTORY << 16) | DMA_SELECT | DMA_READ
    mov ecx, 4
    mov edi, DIRECTORY
    call dma
    mov ebp, [DIRECTORY]
    bswap ebp
1:  test ebp, ebp
    jz fail
    dec ebp
    mov eax, DMA_READ
    mov ecx, 64
    mov edi, DIRECTORY
    call dma
    mov si, offset file_name - boot_rom_start
    mov di, DIRECTORY + 8
    mov cx, FILE_NAME_SIZE
2:  mov al, cs:[si]
    cmp al, [di]
    jne 1b
    inc si
    inc di
    loop 2b
    movzx eax, word ptr [DIRECTORY + 4]
    xchg al, ah
    shl eax, 16
    mov al, DMA_SELECT | DMA_READ
    ret

/* The data of the segments follow each other in the file; those past its end read as zeros. */
copy_segments:
    mov ebp, [H_SEGMENTS]
    mov si, TABLE
1:  test ebp, ebp
    jz 2f
    mov edi, [si]
    mov ecx, [si + 4]
    mov eax, DMA_READ
    call dma
    add si, 8
    dec ebp
    jmp 1b
2:  ret

/* Makes es:di of the address in eax, below 1 MiB. */
point:
    mov di, ax
    and di, 15
    shr eax, 4
    mov es, ax
    ret

/* Puts ebp at the address in eax; 0: nowhere. */
put:
    test eax, eax
    jz 1f
    call point
    mov es:[di], ebp
1:  ret

/* The firmware's memory map (INT 15h, EAX=E820h) in entries 24 bytes apart. */
give_map:
    mov dword ptr [UPPER], 0
    mov eax, [H_MAP_AT]
    test eax, eax
    jz 4f
    call point
    xor ebx, ebx
    xor ebp, ebp
1:  cmp ebp, [H_MAP_MAX]
    jae 3f
    mov eax, 0xe820
    mov edx, SMAP
    mov ecx, 20
    int 0x15
    jc 3f
    cmp eax, SMAP
    jne 3f
    call look_at_upper
    add di, 24
    inc ebp
    test ebx, ebx
    jnz 1b
3:  mov eax, [H_COUNT_AT]
    call put
    mov eax, [H_BYTES_AT]
    lea ebp, [ebp + ebp * 2]
    shl ebp, 3
    call put
    mov ebp, [UPPER]
    mov eax, [H_UPPER_AT]
    call put
4:  ret

/* The RAM from 1 MiB on, in KiB, for multiboot's mem_upper. */
look_at_upper:
    cmp dword ptr es:[di], 0x100000
    jne 1f
    cmp dword ptr es:[di + 4], 0
    jne 1f
    cmp dword ptr es:[di + 16], 1
    jne 1f
    mov eax, es:[di + 8]
    mov edx, es:[di + 12]
    shrd eax, edx, 10
    mov [UPPER], eax
1:  ret

/* The RSDP lies on a 16-byte boundary from 0xe0000 to 0xfffff (ACPI 6.4, 5.2.5.1). */
give_rsdp:
    cmp dword ptr [H_RSDP_AT], 0
    je 3f
    mov bx, 0xe000
1:  mov es, bx
    cmp dword ptr es:[0], 0x20445352    /* "RSD " */
    jne 2f
    cmp dword ptr es:[4], 0x20525450    /* "PTR " */
    je 4f
2:  inc bx
    jnz 1b
3:  ret
4:  movzx ebp, bx
    shl ebp, 4
    mov eax, [H_RSDP_AT]
    jmp put

/* Linux's 16-bit entry: cs is ENTRY, the other segments EBX, the stack's end EAX. */
start_real:
    cli
    mov ax, [H_ENTRY]
    mov bx, [H_EBX]
    mov ecx, [H_EAX]
    mov ss, bx
    mov esp, ecx
    mov ds, bx
    mov es, bx
    mov fs, bx
    mov gs, bx
    push ax
    push 0
    xor eax, eax
    xor ebx, ebx
    xor ecx, ecx
    xor edx, edx
    xor esi, esi
    xor edi, edi
    xor ebp, ebp
    retf

start_protected:
    cli
    xor ax, ax
    mov es, ax
    mov si, offset gdt - boot_rom_start
    mov di, GDT
    mov cx, GDT_SIZE
1:  mov al, cs:[si]
    stosb
    inc si
    loop 1b
    mov word ptr [GDTR], GDT_SIZE - 1
    mov dword ptr [GDTR + 2], GDT
    xor eax, eax
    mov ax, cs
    shl eax, 4
    add eax, offset protected - boot_rom_start
    mov [FAR_POINTER], eax
    mov word ptr [FAR_POINTER + 4], 0x08
    lgdtd [GDTR]
    xor eax, eax
    mov cr4, eax
    mov eax, cr0
    and eax, 0x00000010             /* ET stays; no paging, no caching switched off */
    or al, 1
    mov cr0, eax
    jmp fword ptr [FAR_POINTER]

    .code32
protected:
    mov ax, 0x10
    mov ds, ax
    mov es, ax
    mov ss, ax
    mov fs, ax
    mov gs, ax
    mov ax, 0x18
    ltr ax
    xor eax, eax
    lldt ax
    mov esp, SCRATCH
    push 2
    popf
    mov eax, ds:[H_EAX]
    mov ebx, ds:[H_EBX]
    mov ecx, ds:[H_ENTRY]
    xor edx, edx
    xor esi, esi
    xor edi, edi
    xor ebp, ebp
    jmp ecx

boot_rom_end:
    .section .note.GNU-stack, "", @progbits
