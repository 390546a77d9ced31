/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The page walk: SDM 3A chapter 4. 32-bit (with PSE-36), PAE and 4-level paging, and none at all.
 */
#ifndef CPU_PAGING_H
#define CPU_PAGING_H

#include "cpu/tlb.h"

struct page_walk {
    gpa_t gpa;       /* of the byte asked for, A20 applied */
    uint8_t allowed; /* 1 << enum access_type, each that would not fault; ACCESS_WRITE only if D is
                        set */
    uint8_t shift;   /* of the page's size: 12, 21, 22, 30 */
    bool global;
    uint32_t error; /* page-fault error code when the walk returned false */
};

/* Walks for one access. With `mark`, sets accessed and dirty bits; without, nothing is written (and
 * ACCESS_WRITE is allowed though D is clear). False: a page fault with walk->error. addr is
 * canonical (long mode) or 32 bits. */
bool page_walk(struct vcpu *cpu, gva_t addr, enum access_type type, unsigned mmu, bool mark,
               struct page_walk *walk);

#endif
