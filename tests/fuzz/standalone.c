/*
 * AF_XDP: running a fuzz target without libFuzzer
 *
 * Runs the files named, and all files of directories named; with -t SECONDS
 * it then mutates those, or random bytes, for that long.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "fuzz.h"

#define INPUT_MAX 8192

typedef struct Corpus {
    GPtrArray *inputs;          /* GBytes */
} Corpus;

static void add_file(Corpus *c, const char *path)
{
    char *data;
    gsize size;
    GError *err = NULL;

    if (!g_file_get_contents(path, &data, &size, &err)) {
        g_error("%s", err->message);
    }
    LLVMFuzzerTestOneInput((uint8_t *)data, size);
    g_ptr_array_add(c->inputs, g_bytes_new_take(data, size));
}

static void add_path(Corpus *c, const char *path)
{
    GDir *dir = g_dir_open(path, 0, NULL);
    const char *name;

    if (!dir) {
        add_file(c, path);
        return;
    }
    while ((name = g_dir_read_name(dir))) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        add_file(c, file);
    }
    g_dir_close(dir);
}

/* A seed with some bytes changed, repeated or cut, or none at all. */
static size_t make_input(Corpus *c, GRand *rand, uint8_t *buf)
{
    size_t size = 0;

    if (c->inputs->len > 0 && g_rand_int_range(rand, 0, 8) > 0) {
        uint32_t i = g_rand_int_range(rand, 0, c->inputs->len);
        const void *data = g_bytes_get_data(c->inputs->pdata[i], &size);

        size = MIN(size, INPUT_MAX);
        memcpy(buf, data, size);
    }
    if (size == 0) {
        size = g_rand_int_range(rand, 1, INPUT_MAX);
        for (size_t i = 0; i < size; i++) {
            buf[i] = g_rand_int(rand);
        }
    }
    for (int n = g_rand_int_range(rand, 0, 16); n > 0; n--) {
        size_t at = g_rand_int_range(rand, 0, size);
        size_t from = g_rand_int_range(rand, 0, size);

        switch (g_rand_int_range(rand, 0, 4)) {
        case 0:
            buf[at] = g_rand_int(rand);
            break;
        case 1:
            buf[at] ^= 1u << g_rand_int_range(rand, 0, 8);
            break;
        case 2:
            memmove(buf + at, buf + from, MIN(16, size - MAX(at, from)));
            break;
        case 3:
            size = MAX(at, 1);
            break;
        }
    }
    return size;
}

int main(int argc, char **argv)
{
    Corpus c = {
        g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref),
    };
    uint32_t seed = g_random_int();
    GRand *rand;
    int64_t end, seconds = 0;
    uint64_t runs = 0;
    uint8_t *buf = g_malloc(INPUT_MAX);
    int opt;

    while ((opt = getopt(argc, argv, "t:s:")) != -1) {
        switch (opt) {
        case 't':
            seconds = atoi(optarg);
            break;
        case 's':
            seed = g_ascii_strtoull(optarg, NULL, 0);
            break;
        default:
            fprintf(stderr, "usage: %s [-t seconds] [-s seed] "
                    "[file or directory ...]\n", argv[0]);
            return 2;
        }
    }
    for (int i = optind; i < argc; i++) {
        add_path(&c, argv[i]);
    }
    printf("%u files, then random input for %d s, seed %u\n", c.inputs->len,
           (int)seconds, seed);
    fflush(stdout);
    rand = g_rand_new_with_seed(seed);
    end = g_get_monotonic_time() + seconds * G_USEC_PER_SEC;
    while (g_get_monotonic_time() < end) {
        size_t size = make_input(&c, rand, buf);
        /* As long as the input, for the sanitizer to see its end. */
        uint8_t *exact = g_memdup2(buf, size);

        LLVMFuzzerTestOneInput(exact, size);
        g_free(exact);
        runs++;
    }
    printf("%" PRIu64 " random inputs\n", runs);
    g_rand_free(rand);
    g_free(buf);
    g_ptr_array_free(c.inputs, true);
    return 0;
}
