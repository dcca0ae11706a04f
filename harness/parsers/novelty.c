/* Decides which executions libFuzzer gets to see: those whose counters show something new.
   Compiled into novelty.so beside each instrumented build; harness/engine/worker/inner.py calls it. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The bit of a counter's bucket, as libFuzzer groups counts: 1, 2, 3, 4-7, 8-15, 16-31, 32-127, 128-255. */
static uint8_t bit_of(uint8_t count) {
    if (count <= 3) return (uint8_t)(1u << (count - 1));
    if (count >= 128) return 1u << 7;
    if (count >= 32) return 1u << 6;
    if (count >= 16) return 1u << 5;
    return count >= 8 ? 1u << 4 : 1u << 3;
}

/* Counters, the buckets of each that any run has shown, and their number. */
struct table {
    uint8_t *counters;
    uint8_t *seen;
    size_t size;
};

/* Adds the buckets of eight counters to `seen`; 1 where one of them is new. */
static int add(const uint8_t *counters, uint8_t *seen, size_t size) {
    int found = 0;
    for (size_t i = 0; i < size; i++) {
        if (!counters[i]) continue;
        uint8_t bit = bit_of(counters[i]);
        found |= !(seen[i] & bit);
        seen[i] |= bit;
    }
    return found;
}

/* Adds the buckets of all counters of two tables, and clears the counters; 1 where a bucket is new. */
int harness_novel(const struct table *tables) {
    int found = 0;
    for (const struct table *table = tables; table < tables + 2; table++) {
        size_t at = 0;
        for (; at + 32 <= table->size; at += 32) {
            uint64_t words[4];
            memcpy(words, table->counters + at, 32);
            if (!(words[0] | words[1] | words[2] | words[3])) continue;
            for (size_t word = 0; word < 4; word++)
                if (words[word]) found |= add(table->counters + at + 8 * word, table->seen + at + 8 * word, 8);
            memset(table->counters + at, 0, 32);
        }
        found |= add(table->counters + at, table->seen + at, table->size - at);
        memset(table->counters + at, 0, table->size - at);
    }
    return found;
}
