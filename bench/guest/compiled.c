/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What gcc compiles in the workload of that name, several times over, with COPY replaced each time.
 * No headers. */
struct entryCOPY {
    struct entryCOPY *left, *right;
    unsigned long key;
    long values[8];
    int count;
};

static inline unsigned long hashCOPY(const char *text, int length)
{
    unsigned long sum = 5381;
    for (int i = 0; i < length; i++)
        sum = sum * 33 ^ (unsigned char)text[i];
    return sum;
}

struct entryCOPY *findCOPY(struct entryCOPY *entry, unsigned long key)
{
    while (entry && entry->key != key)
        entry = key < entry->key ? entry->left : entry->right;
    return entry;
}

struct entryCOPY *insertCOPY(struct entryCOPY *root, struct entryCOPY *fresh)
{
    struct entryCOPY **place = &root;
    while (*place)
        place = fresh->key < (*place)->key ? &(*place)->left : &(*place)->right;
    *place = fresh;
    return root;
}

long spreadCOPY(struct entryCOPY *entry)
{
    if (!entry)
        return 0;
    long sum = spreadCOPY(entry->left) + spreadCOPY(entry->right);
    for (int i = 0; i < 8; i++) {
        switch ((entry->values[i] ^ i) & 7) {
        case 0:
            sum += entry->values[i] * 3;
            break;
        case 1:
            sum -= entry->values[7 - i];
            break;
        case 2:
            sum ^= entry->values[i] << 3;
            break;
        case 3:
            sum += sum / (entry->values[i] | 1);
            break;
        case 5:
            sum = sum % 1000003 + i;
            break;
        default:
            sum += i;
        }
    }
    return sum;
}

int parseCOPY(const char *text, int length, struct entryCOPY *out, int limit)
{
    int count = 0, start = 0, negative = 0;
    long number = 0;
    for (int i = 0; i <= length; i++) {
        char c = i < length ? text[i] : ';';
        if (c >= '0' && c <= '9') {
            number = number * 10 + (c - '0');
        } else if (c == '-') {
            negative = !negative;
        } else if (c == ',' || c == ';') {
            if (count < limit && out[count].count < 8)
                out[count].values[out[count].count++] = negative ? -number : number;
            number = negative = 0;
            if (c == ';' && count < limit) {
                out[count].key = hashCOPY(text + start, i - start);
                out[count].left = out[count].right = 0;
                start = i + 1;
                count++;
            }
        }
    }
    return count;
}

double smoothCOPY(double *grid, int width, int height, int rounds)
{
    double change = 0;
    for (int round = 0; round < rounds; round++) {
        change = 0;
        for (int y = 1; y + 1 < height; y++) {
            for (int x = 1; x + 1 < width; x++) {
                double *at = &grid[y * width + x];
                double next = (at[-1] + at[1] + at[-width] + at[width]) * 0.25;
                change += next > *at ? next - *at : *at - next;
                *at = next;
            }
        }
    }
    return change;
}

void sortCOPY(long *numbers, int count)
{
    for (int gap = count / 2; gap; gap /= 2) {
        for (int i = gap; i < count; i++) {
            long held = numbers[i];
            int j = i;
            for (; j >= gap && numbers[j - gap] > held; j -= gap)
                numbers[j] = numbers[j - gap];
            numbers[j] = held;
        }
    }
}
