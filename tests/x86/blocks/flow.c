/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Programs of branches: pieces of a few instructions, scattered over the code pages, that jump,
 * call, return and return elsewhere, some hundred times in all, until their fuel is gone. In
 * between they change each other's code and, as supervisor, where pages lead.
 *
 * Pieces begin at the same offsets in every code page. At SHUFFLED the pages are mapped in another
 * order: what goes from page to page there reaches a piece, but another one than the bytes of the
 * branch lead to at CODE.
 */
#include "blocks.h"

#include <string.h>

enum {
    SLOT = 128, /* pieces begin at its multiples */
    OFFSETS = 4,
    PIECES = CODE_PAGES * (2 * OFFSETS + 2),
    PIECE_ITEMS = 16,
    FAVOURITES = 3,
    /* Targets while the program is made: one of these kinds, and any number. */
    NUMBERS = 0x1000,
    TO_PIECE = NUMBERS,
    TO_VARIABLE = 2 * NUMBERS, /* an instruction whose immediate may change */
    TO_BRANCH = 3 * NUMBERS,   /* one whose distance may */
    TO_FIRST = 4 * NUMBERS,    /* the piece at the first of the offsets, in this page */
    FUEL = DATA + 0x7000,
    WORDS = FUEL + 0x100,
};

struct flow {
    struct rng *rng;
    struct program *p;
    uint32_t favourites[FAVOURITES];
    bool by_loop; /* fuel is rcx, and no flag changes */
    unsigned pieces;
    unsigned piece[PIECES]; /* the first instruction */
    unsigned first[CODE_PAGES];
    unsigned variables, branches;
    uint8_t variable[INSTRUCTIONS], branch[INSTRUCTIONS];
};

static bool wide(const struct flow *f)
{
    return f->p->mode == LONG64;
}

static unsigned word(const struct flow *f)
{
    return wide(f) ? 8 : 4;
}

static struct instruction *new_item(struct flow *f)
{
    struct instruction *i = &f->p->insn[f->p->count++];
    memset(i, 0, sizeof(*i));
    return i;
}

static void add(struct instruction *i, unsigned byte)
{
    instruction_add(i, byte);
}

static void add32(struct instruction *i, uint32_t value)
{
    store_le32(i->bytes + i->length, value);
    i->length += 4;
}

/* ModRM of an absolute address. */
static void add_absolute(const struct flow *f, struct instruction *i, unsigned reg, uint32_t at)
{
    if (wide(f)) {
        add(i, reg << 3 | 4);
        add(i, 0x25);
    } else {
        add(i, reg << 3 | 5);
    }
    add32(i, at);
}

static uint32_t any(struct flow *f, uint32_t kind)
{
    return kind + (uint32_t)rng_below(f->rng, NUMBERS);
}

/* Some are favourites, so that the same branch is taken again after something has changed. */
static uint32_t any_piece(struct flow *f)
{
    return one_in(f->rng, 2) ? f->favourites[rng_below(f->rng, FAVOURITES)] : any(f, TO_PIECE);
}

static void to_code(struct flow *f, struct instruction *i, uint32_t target)
{
    uint64_t r = rng_next(f->rng);
    i->fix = FIX_CODE;
    i->fix_at = i->length;
    i->fix_size = 4;
    i->by = r % 8 == 0 ? BY_ALIAS : r % 8 < 3 ? BY_SHUFFLED : BY_CODE;
    i->target = target;
    add32(i, 0);
}

static void relative(struct instruction *i, uint32_t target, unsigned size)
{
    i->fix = FIX_BRANCH;
    i->fix_at = i->length;
    i->fix_size = (uint8_t)size;
    i->target = target;
    i->length += (uint8_t)size;
}

/* Registers that pieces compute in. With REX.B where 8 and above. */
static unsigned any_register(struct flow *f)
{
    static const uint8_t regs[] = {RAX, RDX, RBX, RSI, RDI, R8, R11, R13, R15};
    return regs[rng_below(f->rng, wide(f) ? ARRAY_LEN(regs) : 5)];
}

/* Bodies */

static void add_rex(const struct flow *f, struct instruction *i, unsigned w, unsigned reg,
                    unsigned rm)
{
    unsigned bits = w << 3 | (reg >> 3) << 2 | rm >> 3;
    if (wide(f) && bits)
        add(i, 0x40 | bits);
}

static void compute(struct flow *f)
{
    uint64_t r = rng_next(f->rng);
    unsigned a = any_register(f), b = any_register(f), w = r >> 8 & 1;
    struct instruction *i = new_item(f);
    switch (r % 8) {
    case 0:
    case 1: /* lea a, [a + b*2 + disp] */
        if (wide(f))
            add(i, 0x40 | w << 3 | (a >> 3) << 2 | (b >> 3) << 1 | a >> 3);
        add(i, 0x8d);
        add(i, 0x84 | (a & 7) << 3);
        add(i, 0x40 | (b & 7) << 3 | (a & 7));
        add32(i, (uint32_t)(r >> 32));
        break;
    case 2:
    case 3: /* add, adc, sub, sbb a, b */
        add_rex(f, i, w, b, a);
        add(i, "\x01\x11\x29\x19"[r >> 16 & 3]);
        add(i, 0xc0 | (b & 7) << 3 | (a & 7));
        break;
    case 4: /* the same with memory, either way */
        add_rex(f, i, w, a, 0);
        add(i, "\x01\x11\x29\x19\x03\x13\x2b\x1b"[r >> 16 & 7]);
        add_absolute(f, i, a & 7, WORDS + (uint32_t)(r >> 24) % 32 * 8);
        break;
    case 5: /* setcc or cmovcc */
        add(i, 0x0f);
        if (r >> 16 & 1) {
            add(i, 0x90 | (r >> 20 & 15));
            add_absolute(f, i, 0, WORDS + (uint32_t)(r >> 24) % 32 * 8);
        } else {
            add(i, 0x40 | (r >> 20 & 15));
            add(i, 0xc0 | (a & 7) << 3 | (b & 7));
        }
        break;
    case 6: /* push and pop */
        add_rex(f, i, 0, 0, a);
        add(i, 0x50 | (a & 7));
        if (r >> 16 & 3) {
            add_rex(f, i, 0, 0, b);
            add(i, 0x58 | (b & 7));
        }
        break;
    default: /* cmp a, b */
        add_rex(f, i, w, b, a);
        add(i, 0x39);
        add(i, 0xc0 | (b & 7) << 3 | (a & 7));
    }
}

/* add eax, imm32 */
static void variable(struct flow *f)
{
    struct instruction *i = new_item(f);
    add(i, 0x05);
    add32(i, (uint32_t)rng_next(f->rng));
    f->variable[f->variables++ % ARRAY_LEN(f->variable)] = (uint8_t)(f->p->count - 1);
}

/* add byte or dword [some code], imm8 */
static void modify(struct flow *f)
{
    uint64_t r = rng_next(f->rng);
    struct instruction *i = new_item(f);
    bool next = r >> 8 & 1, byte = r >> 9 & 1;
    bool branch = !next && r >> 10 & 1;
    add(i, byte || branch ? 0x80 : 0x83);
    add_absolute(f, i, 0, 0);
    i->length -= 4;
    to_code(f, i, next ? f->p->count : any(f, branch ? TO_BRANCH : TO_VARIABLE));
    i->within = 1;
    add(i, branch ? SLOT : (unsigned)(r >> 12) & 0xff);
    if (next)
        variable(f);
}

/* Another frame for a page of SHUFFLED, or none, told to the processor by INVLPG or by CR3. Then,
 * mostly, to the piece that was gone to before. */
static void remap(struct flow *f)
{
    uint64_t r = rng_next(f->rng);
    struct instruction *i = new_item(f);
    uint32_t number = (uint32_t)(r >> 8) % SHUFFLED_PAGES, page = SHUFFLED / PAGE_SIZE + number;
    bool narrow_entries = f->p->mode == LEGACY32;
    add(i, 0xc7);
    add_absolute(f, i, 0, narrow_entries ? PT32 + page * 4 : PT + page * 8);
    add32(i, r % 8 ? (CODE_RAM + (uint32_t)(r >> 16) % CODE_PAGES * 2 * PAGE_SIZE) | 7 : 0);
    add(i, 0x0f);
    if (r >> 24 & 1) {
        add(i, 0x01);
        add_absolute(f, i, 7, page * PAGE_SIZE);
    } else {
        add(i, 0x20); /* mov eax, cr3; mov cr3, eax */
        add(i, 0xd8);
        add(i, 0x0f);
        add(i, 0x22);
        add(i, 0xd8);
    }
    if (number >= CODE_PAGES || r >> 32 & 1)
        return;
    i = new_item(f);
    add(i, 0xb8 | RBX);
    to_code(f, i, TO_FIRST + number);
    i->by = BY_SHUFFLED;
    add(i, 0xff);
    add(i, (r >> 33 & 1 ? 0xd0 : 0xe0) | RBX);
}

static void body(struct flow *f)
{
    uint64_t r = rng_next(f->rng);
    switch (r % 16) {
    case 0:
        variable(f);
        break;
    case 1:
    case 2:
        modify(f);
        break;
    case 3:
    case 4:
        if (!f->p->user) {
            remap(f);
            break;
        }
        compute(f);
        break;
    case 5:
        if (!f->by_loop && r >> 8 & 1) {
            program_any_instruction(f->rng, f->p, new_item(f));
            break;
        }
        compute(f);
        break;
    default:
        compute(f);
    }
}

static void fuel(struct flow *f)
{
    struct instruction *i = new_item(f);
    if (f->by_loop) {
        add(i, 0xe2); /* over the jump */
        add(i, 5);
        i = new_item(f);
        add(i, 0xe9);
    } else {
        add(i, 0xff); /* dec */
        add_absolute(f, i, 1, FUEL);
        i = new_item(f);
        add(i, 0x0f);
        add(i, 0x84);
    }
    relative(i, INSTRUCTIONS, 4);
}

/* Ends */

static void note_branch(struct flow *f)
{
    f->branch[f->branches++ % ARRAY_LEN(f->branch)] = (uint8_t)(f->p->count - 1);
}

static void direct(struct flow *f, unsigned opcode)
{
    struct instruction *i = new_item(f);
    add(i, opcode);
    relative(i, any_piece(f), opcode == 0xeb ? 1 : 4);
    if (opcode != 0xeb)
        note_branch(f);
}

static void conditional(struct flow *f)
{
    uint64_t r = rng_next(f->rng);
    struct instruction *i = new_item(f);
    if (r & 3) {
        add(i, 0x0f);
        add(i, 0x80 | (r >> 8 & 15));
        relative(i, any_piece(f), 4);
    } else {
        add(i, 0x70 | (r >> 8 & 15));
        relative(i, any_piece(f), 1);
    }
    if (r >> 16 & 1)
        direct(f, 0xe9);
}

static void ret(struct flow *f)
{
    uint64_t r = rng_next(f->rng);
    struct instruction *i = new_item(f);
    switch (r % 8) {
    case 0:
        add(i, 0xc2);
        add(i, (r >> 8 & 3) * word(f));
        add(i, 0);
        break;
    case 1:
        add(i, 0xf3);
        add(i, 0xc3);
        break;
    default:
        add(i, 0xc3);
    }
}

static void through_register(struct flow *f)
{
    uint64_t r = rng_next(f->rng);
    unsigned reg = any_register(f);
    struct instruction *i = new_item(f);
    if (wide(f) && r & 1) { /* lea rax, [rip + distance] */
        add(i, 0x48);
        add(i, 0x8d);
        add(i, 0x05);
        relative(i, any_piece(f), 4);
        i = new_item(f);
        reg = RAX;
    } else {
        add_rex(f, i, 0, 0, reg);
        add(i, 0xb8 | (reg & 7));
        to_code(f, i, any_piece(f));
    }
    add_rex(f, i, 0, 0, reg);
    add(i, 0xff);
    add(i, (r & 2 ? 0xd0 : 0xe0) | (reg & 7));
}

/* Which entry of the table, changes with the fuel. */
static void dispatch(struct flow *f, bool call)
{
    struct instruction *i = new_item(f);
    add(i, 0x0f); /* movzx eax, byte */
    add(i, 0xb6);
    if (f->by_loop)
        add(i, 0xc0 | RCX);
    else
        add_absolute(f, i, RAX, FUEL);
    add(i, 0xff); /* [rax * 8 + TABLE] */
    add(i, call ? 0x14 : 0x24);
    add(i, 0xc0 | RAX << 3 | 5);
    add32(i, TABLE);
}

static void through_table(struct flow *f)
{
    uint64_t r = rng_next(f->rng);
    uint32_t at = TABLE + (uint32_t)(r >> 8) % TABLE_ENTRIES * 8;
    if (r & 3) {
        dispatch(f, r & 4);
        return;
    }
    struct instruction *i = new_item(f);
    if (r & 8) {
        add_rex(f, i, 1, 0, 0);
        add(i, 0xc7);
        add_absolute(f, i, 0, at);
        to_code(f, i, any_piece(f));
    }
    add(i, 0xff);
    add_absolute(f, i, r & 4 ? 2 : 4, at);
}

/* Returns that do not go where their call came from. */
static void odd_return(struct flow *f)
{
    uint64_t r = rng_next(f->rng);
    struct instruction *i = new_item(f);
    switch (r % 8) {
    case 0: /* push place */
        add(i, 0x68);
        to_code(f, i, any_piece(f));
        break;
    case 1: /* mov [rsp], place */
        add_rex(f, i, 1, 0, 0);
        add(i, 0xc7);
        add(i, 0x04);
        add(i, 0x24);
        to_code(f, i, any_piece(f));
        break;
    case 2: /* pop reg; jmp reg */
        add(i, 0x58 | RBX);
        add(i, 0xff);
        add(i, 0xe0 | RBX);
        return;
    case 3: /* lea rsp, [rsp + words] */
        add_rex(f, i, 1, 0, 0);
        add(i, 0x8d);
        add(i, 0x64);
        add(i, 0x24);
        add(i, word(f) * (1 + (r >> 8 & 1)));
        break;
    case 4: /* pop reg; push reg */
        add(i, 0x58 | RDI);
        add(i, 0x50 | RDI);
        break;
    case 5: /* jmp or call [rsp] */
        add(i, 0xff);
        add(i, r >> 8 & 1 ? 0x14 : 0x24);
        add(i, 0x24);
        return;
    case 6: /* xchg [rsp], rdx */
        add_rex(f, i, 1, 0, 0);
        add(i, 0x87);
        add(i, 0x14);
        add(i, 0x24);
        break;
    default: /* mov esp, elsewhere in the stack */
        add(i, 0xbc);
        add32(i, STACK + (uint32_t)(r >> 16) % 0x100 * 8);
    }
    ret(f);
}

/* Far returns, IRET, and an interrupt whose handler returns. */
static void far_return(struct flow *f)
{
    uint64_t r = rng_next(f->rng);
    struct instruction *i = new_item(f);
    if (r & 1) {
        add(i, 0xcd);
        add(i, RETURNING_VECTOR);
        direct(f, 0xe9);
        return;
    }
    bool iret = !wide(f) && r & 2;
    if (iret)
        add(i, 0x9c); /* pushf */
    if (wide(f)) {
        add(i, 0x6a);
        add(i, f->p->user ? 0x33 : 0x08);
    } else {
        add(i, 0x0e); /* push cs */
    }
    add(i, 0x68);
    to_code(f, i, any_piece(f));
    if (wide(f))
        add(i, 0x48);
    add(i, iret ? 0xcf : 0xcb);
}

/* False: control may go on behind it. */
static bool end(struct flow *f)
{
    uint64_t r = rng_below(f->rng, 25);
    if (r < 4)
        direct(f, r ? 0xe9 : 0xeb);
    else if (r < 7)
        conditional(f);
    else if (r < 11)
        direct(f, 0xe8);
    else if (r < 15)
        ret(f);
    else if (r < 17)
        through_register(f);
    else if (r < 20)
        through_table(f);
    else if (r < 23)
        odd_return(f);
    else if (r < 24)
        far_return(f);
    return r < 4 || (r >= 11 && r < 15) || (r >= 20 && r < 24);
}

static unsigned length_since(const struct flow *f, unsigned first)
{
    unsigned length = 0;
    for (unsigned i = first; i < f->p->count; i++)
        length += f->p->insn[i].length;
    return length;
}

/* A piece at `place`; 0: behind the one before. Before a page's end it is laid so that it ends
 * there, or that some instruction of it runs over. */
static void piece(struct flow *f, uint32_t place, bool before_page_end)
{
    struct program *p = f->p;
    if (p->count + PIECE_ITEMS > INSTRUCTIONS)
        return;
    unsigned first = p->count, bodies = 1 + (unsigned)rng_below(f->rng, 3);
    f->piece[f->pieces++] = first;
    if (one_in(f->rng, 2))
        body(f);
    fuel(f);
    while (bodies--)
        body(f);
    bool ended = end(f);
    if (before_page_end) {
        place -= length_since(f, first);
        if (one_in(f->rng, 2))
            place += (uint32_t)rng_below(f->rng, 6);
        else if (one_in(f->rng, 2))
            place += (uint32_t)rng_below(f->rng, 40);
    } else if (!ended) {
        if (one_in(f->rng, 2))
            dispatch(f, false);
        else
            direct(f, 0xe9);
    }
    p->insn[first].place = place;
    p->insn[first].starts = true;
}

static void resolve(struct flow *f)
{
    for (unsigned k = 0; k < f->p->count; k++) {
        struct instruction *i = &f->p->insn[k];
        uint32_t to = i->target % NUMBERS;
        if (i->target >= TO_FIRST)
            i->target = f->first[to % CODE_PAGES];
        else if (i->target >= TO_BRANCH)
            i->target = f->branches ? f->branch[to % f->branches] : k;
        else if (i->target >= TO_VARIABLE)
            i->target = f->variables ? f->variable[to % f->variables] : k;
        else if (i->target >= TO_PIECE)
            i->target = f->piece[to % f->pieces];
    }
}

static void prologue(struct flow *f)
{
    uint32_t amount = 10 + (uint32_t)rng_below(f->rng, 290);
    if (f->by_loop) {
        f->p->gpr[RCX] = amount;
    } else {
        struct instruction *i = new_item(f);
        add(i, 0xc7);
        add_absolute(f, i, 0, FUEL);
        add32(i, amount);
    }
    direct(f, 0xe9);
}

void flow_generate(struct program *p, struct rng *rng)
{
    struct flow f = {.rng = rng, .p = p, .by_loop = one_in(rng, 3)};
    uint32_t offsets[OFFSETS], slot = 2;
    p->flow = true;
    p->entry = CODE;
    p->hot = one_in(rng, 2) ? 1 : 1 + (unsigned)rng_below(rng, 6);
    p->flags &= ~(uint64_t)(FLAG_DF | FLAG_TF);
    p->gpr[RSP] = STACK + (uint32_t)rng_below(rng, 0x100) * 8;
    for (unsigned k = 0; k < OFFSETS; k++) {
        slot += 2 + (uint32_t)rng_below(rng, 4);
        offsets[k] = slot * SLOT;
    }
    for (unsigned k = 0; k < FAVOURITES; k++)
        f.favourites[k] = any(&f, TO_PIECE);
    prologue(&f);
    for (uint32_t page = CODE; page < CODE + CODE_PAGES * PAGE_SIZE; page += PAGE_SIZE) {
        for (unsigned k = 0; k < OFFSETS; k++) {
            if (k == 0)
                f.first[(page - CODE) / PAGE_SIZE] = p->count;
            piece(&f, page + offsets[k], false);
            if (one_in(rng, 6))
                piece(&f, 0, false);
        }
        if (page == CODE + (CODE_PAGES - 1) * PAGE_SIZE)
            break;
        piece(&f, page + PAGE_SIZE, true);
        piece(&f, 0, false); /* where what falls over the end arrives */
    }
    resolve(&f);
}
