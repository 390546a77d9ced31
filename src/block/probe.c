/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * Which format an image is of, by its first sector. Those that cannot be opened are known too, so
 * that a qcow2 file is not given to a guest as a disk full of rubbish.
 */
#include "block/format.h"

#include <string.h>

#include "base/bytes.h"

struct magic {
    const char *format;
    unsigned offset, length;
    const char *bytes;
};

static const struct magic magics[] = {
    {"qcow2", 0, 4, "QFI\xfb"},
    {"qed", 0, 4, "QED\0"},
    {"vmdk", 0, 4, "KDMV"},
    {"vmdk", 0, 4, "COWD"},
    {"vmdk", 0, 21, "# Disk DescriptorFile"},
    {"vdi", 64, 4, "\x7f\x10\xda\xbe"},
    {"vhdx", 0, 8, "vhdxfile"},
    {"vpc", 0, 8, "conectix"},
    {"luks", 0, 6, "LUKS\xba\xbe"},
    {"parallels", 0, 16, "WithoutFreeSpace"},
    {"parallels", 0, 16, "WithouFreSpacExt"},
};

const char *format_probe(const uint8_t *sector)
{
    for (size_t i = 0; i < ARRAY_LEN(magics); i++)
        if (memcmp(sector + magics[i].offset, magics[i].bytes, magics[i].length) == 0)
            return magics[i].format;
    return "raw";
}
