/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The registers of the VGA at ports 0x3b0-0x3df (IBM PS/2 Hardware Interface Technical Reference,
 * "VGA Registers"). How they are used: an index and a datum, for the attribute controller both
 * through one port with a flip-flop between; colours are three writes to the DAC; programs wait
 * for the retrace in input status 1.
 */
#include "device/vga_internal.h"

enum {
    STATUS0_SENSE = 1 << 4, /* a monitor is there */
    STATUS1_BLANK = 1 << 0,
    STATUS1_RETRACE = 1 << 3,
    CRTC_PROTECT = 1 << 7, /* of CRTC_RETRACE_END: registers 0 to 7 */
};

/* The bits that there are. */
static const uint8_t sequencer_bits[VGA_SEQUENCER] = {0x03, 0x3d, 0x0f, 0x3f, 0x0e};
static const uint8_t graphics_bits[VGA_GRAPHICS] = {0x0f, 0x0f, 0x0f, 0x1f, 0x03,
                                                    0x7b, 0x0f, 0x0f, 0xff};

static uint8_t attribute_bits(unsigned index)
{
    if (index < AC_MODE)
        return 0x3f; /* the palette */
    static const uint8_t bits[] = {0xef, 0xff, 0x3f, 0x0f, 0x0f};
    return bits[index - AC_MODE];
}

/* How long a frame lasts and where in it the retrace is, in dots and lines. */
struct timing {
    unsigned clock; /* Hz */
    unsigned dots, shown_dots;
    unsigned lines, shown_lines, retrace, retrace_lines;
};

/* What IBM's BIOS programs for text, for a CRTC that would never show a retrace. */
static const struct timing standard_timing = {28322000, 900, 720, 449, 400, 412, 2};

static struct timing timing(const struct vga *vga)
{
    const uint8_t *crtc = vga->crtc;
    uint8_t clocking = vga->sequencer[SEQ_CLOCKING], overflow = crtc[CRTC_OVERFLOW];
    unsigned dots = clocking & CLOCKING_8_DOTS ? 8 : 9;
    struct timing t = {
        .clock = vga->misc & 0x0c ? 28322000 : 25175000,
        .dots = (crtc[0] + 5) * dots,
        .shown_dots = (crtc[CRTC_DISPLAY_END] + 1) * dots,
        .lines = (crtc[6] | (overflow & 0x01u) << 8 | (overflow & 0x20u) << 4) + 2,
        .shown_lines = vga_vertical_end(vga) + 1,
        .retrace = crtc[CRTC_RETRACE_START] | (overflow & 0x04u) << 6 | (overflow & 0x80u) << 2,
    };
    /* It ends where the low four bits are these. */
    t.retrace_lines = (unsigned)(crtc[CRTC_RETRACE_END] - crtc[CRTC_RETRACE_START]) & 15;
    if (!t.retrace_lines)
        t.retrace_lines = 16;
    if (clocking & CLOCKING_HALF)
        t.clock /= 2;
    if (t.shown_dots >= t.dots || t.retrace == 0 || t.retrace >= t.lines)
        return standard_timing;
    return t;
}

static uint8_t input_status1(const struct vga *vga)
{
    struct timing t = timing(vga);
    uint64_t dots = mul_div((uint64_t)timers_now(vga->timers), t.clock, NS_PER_SECOND);
    unsigned line = (unsigned)(dots / t.dots % t.lines);
    bool blank = line >= t.shown_lines || dots % t.dots >= t.shown_dots;
    bool retrace = line >= t.retrace && line - t.retrace < t.retrace_lines;
    return (uint8_t)((blank || retrace ? STATUS1_BLANK : 0) | (retrace ? STATUS1_RETRACE : 0));
}

/* Attribute controller */

static void attribute_write(struct vga *vga, uint8_t value)
{
    unsigned index = vga->attribute_index & 31;
    if (!vga->attribute_data)
        vga->attribute_index = value & 0x3f;
    else if (index < VGA_ATTRIBUTE)
        vga->attribute[index] = value & attribute_bits(index);
    vga->attribute_data = !vga->attribute_data;
}

static uint8_t attribute_read(const struct vga *vga)
{
    unsigned index = vga->attribute_index & 31;
    return index < VGA_ATTRIBUTE ? vga->attribute[index] : 0;
}

/* DAC */

static void dac_select(struct vga *vga, uint8_t index, bool reading)
{
    if (reading)
        vga->dac_read_index = index;
    else
        vga->dac_write_index = index;
    vga->dac_reading = reading;
    vga->dac_component = 0;
}

/* A colour counts when its third part has come. */
static void dac_write(struct vga *vga, uint8_t value)
{
    vga->dac_written[vga->dac_component++] = value;
    if (vga->dac_component < 3)
        return;
    memcpy(vga->palette + 3 * vga->dac_write_index, vga->dac_written, 3);
    vga->dac_component = 0;
    vga->dac_write_index++;
}

static uint8_t dac_read(struct vga *vga)
{
    uint8_t value = vga->palette[3 * vga->dac_read_index + vga->dac_component++];
    if (!(vga->vbe[VBE_ENABLE] & VBE_8BIT_DAC))
        value &= 0x3f;
    if (vga->dac_component == 3) {
        vga->dac_component = 0;
        vga->dac_read_index++;
    }
    return value;
}

/* CRTC */

static void crtc_write(struct vga *vga, uint8_t value)
{
    unsigned index = vga->crtc_index;
    if (index >= VGA_CRTC)
        return;
    if (index <= CRTC_OVERFLOW && (vga->crtc[CRTC_RETRACE_END] & CRTC_PROTECT)) {
        if (index == CRTC_OVERFLOW) /* bit 8 of the line compare stays open */
            vga->crtc[index] = (uint8_t)((vga->crtc[index] & ~0x10) | (value & 0x10));
        return;
    }
    vga->crtc[index] = value;
}

static uint8_t crtc_read(const struct vga *vga)
{
    return vga->crtc_index < VGA_CRTC ? vga->crtc[vga->crtc_index] : 0;
}

/* The CRTC and input status 1 are at 0x3b_ or 0x3d_, as the misc output register has it. Makes
 * 0x3d_ of either; 0 where it is not. */
static unsigned canonical(const struct vga *vga, unsigned port)
{
    if (port >= 0x3c0 && port < 0x3d0)
        return port;
    if ((port >= 0x3d0) != (bool)(vga->misc & MISC_COLOUR))
        return 0;
    return port < 0x3c0 ? port + 0x20 : port;
}

uint8_t vga_port_read(struct vga *vga, unsigned port)
{
    switch (canonical(vga, port)) {
    case 0x3c0:
        return vga->attribute_index;
    case 0x3c1:
        return attribute_read(vga);
    case 0x3c2:
        return STATUS0_SENSE;
    case 0x3c4:
        return vga->sequencer_index;
    case 0x3c5:
        return vga->sequencer_index < VGA_SEQUENCER ? vga->sequencer[vga->sequencer_index] : 0;
    case 0x3c6:
        return vga->dac_mask;
    case 0x3c7:
        return vga->dac_reading ? 3 : 0;
    case 0x3c8:
        return vga->dac_write_index;
    case 0x3c9:
        return dac_read(vga);
    case 0x3ca:
        return vga->feature;
    case 0x3cc:
        return vga->misc;
    case 0x3ce:
        return vga->graphics_index;
    case 0x3cf:
        return vga->graphics_index < VGA_GRAPHICS ? vga->graphics[vga->graphics_index] : 0;
    case 0x3d4:
        return vga->crtc_index;
    case 0x3d5:
        return crtc_read(vga);
    case 0x3da:
        vga->attribute_data = false;
        return input_status1(vga);
    default:
        return 0xff;
    }
}

void vga_port_write(struct vga *vga, unsigned port, uint8_t value)
{
    switch (canonical(vga, port)) {
    case 0x3c0:
        attribute_write(vga, value);
        break;
    case 0x3c2:
        vga->misc = value & 0xef;
        vga_window_update(vga);
        break;
    case 0x3c4:
        vga->sequencer_index = value & 7;
        break;
    case 0x3c5:
        if (vga->sequencer_index < VGA_SEQUENCER)
            vga->sequencer[vga->sequencer_index] = value & sequencer_bits[vga->sequencer_index];
        vga_window_update(vga);
        break;
    case 0x3c6:
        vga->dac_mask = value;
        break;
    case 0x3c7:
        dac_select(vga, value, true);
        break;
    case 0x3c8:
        dac_select(vga, value, false);
        break;
    case 0x3c9:
        dac_write(vga, value);
        break;
    case 0x3ce:
        vga->graphics_index = value & 15;
        break;
    case 0x3cf:
        if (vga->graphics_index < VGA_GRAPHICS)
            vga->graphics[vga->graphics_index] = value & graphics_bits[vga->graphics_index];
        vga_window_update(vga);
        break;
    case 0x3d4:
        vga->crtc_index = value;
        break;
    case 0x3d5:
        crtc_write(vga, value);
        break;
    case 0x3da:
        vga->feature = value & 0x03;
        break;
    default:
        break;
    }
}

/* Nothing is defined until a BIOS has programmed it, but the DAC shows all bits. */
void vga_ports_reset(struct vga *vga)
{
    vga->misc = vga->feature = 0;
    vga->sequencer_index = vga->graphics_index = vga->crtc_index = vga->attribute_index = 0;
    memset(vga->sequencer, 0, sizeof(vga->sequencer));
    memset(vga->graphics, 0, sizeof(vga->graphics));
    memset(vga->crtc, 0, sizeof(vga->crtc));
    memset(vga->attribute, 0, sizeof(vga->attribute));
    vga->attribute_data = false;
    vga->latch = 0;
    vga->dac_mask = 0xff;
    vga->dac_read_index = vga->dac_write_index = vga->dac_component = 0;
    vga->dac_reading = false;
    memset(vga->dac_written, 0, sizeof(vga->dac_written));
    memset(vga->palette, 0, sizeof(vga->palette));
}

void vga_ports_loaded(struct vga *vga)
{
    vga->misc &= 0xef;
    vga->feature &= 0x03;
    vga->sequencer_index &= 7;
    vga->graphics_index &= 15;
    vga->attribute_index &= 0x3f;
    vga->dac_component %= 3;
    for (unsigned i = 0; i < VGA_SEQUENCER; i++)
        vga->sequencer[i] &= sequencer_bits[i];
    for (unsigned i = 0; i < VGA_GRAPHICS; i++)
        vga->graphics[i] &= graphics_bits[i];
    for (unsigned i = 0; i < VGA_ATTRIBUTE; i++)
        vga->attribute[i] &= attribute_bits(i);
}
