/* Rust's HashMap takes its keys from getrandom(2), by way of this symbol where a module defines it (std says so where
   it looks the symbol up). With the same keys in every process, a run of the fuzzer repeats to the last edge. */
#include <stddef.h>
#include <sys/types.h>

__attribute__((visibility("hidden"))) ssize_t getrandom(void *buffer, size_t size, unsigned int flags)
{
    unsigned char *bytes = buffer;

    (void)flags;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (unsigned char)(37 * i + 11);
    return (ssize_t)size;
}
