/*
 * AF_XDP domain filter: reading and writing files
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "qemu/osdep.h"
#include "domain-error.h"
#include "output.h"

/* No domain is larger; stops at /dev/zero. */
#define INPUT_LIMIT (64 << 20)

char *input_read(const char *name, gsize *len, GError **errp)
{
    bool standard = !strcmp(name, "-");
    g_autoptr(GString) text = g_string_new(NULL);
    int fd = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC);
    int saved = 0;

    if (fd < 0) {
        domain_error(errp, 0, NULL, "cannot open it: %s", g_strerror(errno));
        return NULL;
    }
    while (text->len <= INPUT_LIMIT) {
        char part[65536];
        ssize_t got = read(fd, part, sizeof(part));

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            saved = got < 0 ? errno : 0;
            break;
        }
        g_string_append_len(text, part, got);
    }
    if (!standard) {
        close(fd);
    }
    if (saved) {
        domain_error(errp, 0, NULL, "cannot read it: %s", g_strerror(saved));
        return NULL;
    }
    if (text->len > INPUT_LIMIT) {
        domain_error(errp, 0, NULL, "it is larger than %d MiB",
                     INPUT_LIMIT >> 20);
        return NULL;
    }
    *len = text->len;
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static bool write_all(int fd, const char *text, gsize len)
{
    while (len) {
        ssize_t done = write(fd, text, len);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0) {
            return false;
        }
        text += done;
        len -= done;
    }
    return true;
}

/* A pipe or a terminal, /dev/null: written to, never replaced. */
static bool write_special(const char *name, const char *text, gsize len)
{
    int fd = open(name, O_WRONLY | O_NOCTTY | O_CLOEXEC);
    int saved;
    bool ok;

    if (fd < 0) {
        return false;
    }
    ok = write_all(fd, text, len);
    saved = errno;
    if (close(fd) < 0 && ok) {
        return false;
    }
    errno = saved;
    return ok;
}

/* A new file beside the old one, then in its place. */
static bool replace_file(const char *name, const struct stat *old,
                         const char *text, gsize len)
{
    g_autofree char *temporary = g_strconcat(name, ".XXXXXX", NULL);
    mode_t mask = umask(0);
    int saved, fd;
    bool ok;

    umask(mask);
    fd = g_mkstemp_full(temporary, O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    ok = write_all(fd, text, len) &&
        (!old || (old->st_uid == geteuid() && old->st_gid == getegid()) ||
         fchown(fd, old->st_uid, old->st_gid) == 0) &&
        fchmod(fd, old ? old->st_mode & 07777 : 0666 & ~mask) == 0 &&
        fsync(fd) == 0;
    saved = errno;
    ok = close(fd) == 0 && ok;
    if (ok && rename(temporary, name) == 0) {
        return true;
    }
    saved = ok ? errno : saved;
    unlink(temporary);
    errno = saved;
    return false;
}

static bool write_file(const char *name, const char *text, gsize len)
{
    struct stat st;
    char *real;
    bool ok;

    if (lstat(name, &st) < 0) {
        return errno == ENOENT && replace_file(name, NULL, text, len);
    }
    if (stat(name, &st) < 0) {
        return false;                   /* a link to nothing */
    }
    if (!S_ISREG(st.st_mode)) {
        return write_special(name, text, len);
    }
    /* What a link leads to is replaced, not the link. */
    real = realpath(name, NULL);
    ok = real && replace_file(real, &st, text, len);
    free(real);
    return ok;
}

bool output_write(const char *name, const char *text, gsize len,
                  GError **errp)
{
    if (strcmp(name, "-") ? write_file(name, text, len) :
        write_all(STDOUT_FILENO, text, len)) {
        return true;
    }
    return domain_error(errp, 0, NULL, "cannot write '%s': %s", name,
                        g_strerror(errno));
}
