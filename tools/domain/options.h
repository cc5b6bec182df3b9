/*
 * AF_XDP domain filter: the options of a mark
 *
 * One table has the attributes that a mark may have: the options of the
 * netdev, by the names that they have there, and a few of the filter's own.
 * What the netdev would refuse is refused here by the netdev's own check
 * (net/af-xdp-options.h), with its words.
 *
 * Threads: any.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TOOLS_DOMAIN_OPTIONS_H
#define TOOLS_DOMAIN_OPTIONS_H

#include <glib.h>
#include "net/af-xdp-options.h"

typedef struct MarkOptions {
    AfXdpOptionsIn in;      /* its strings belong to @given */
    GHashTable *given;      /* name -> value of each option, as written */
} MarkOptions;

typedef enum OptionKind {
    OPTION_NETDEV,          /* belongs to -netdev */
    OPTION_FILTER,          /* is for this program */
    OPTION_UNKNOWN,
} OptionKind;

/* mark_options_new: without any option; freed with mark_options_free(). */
MarkOptions *mark_options_new(void);
void mark_options_free(MarkOptions *options);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(MarkOptions, mark_options_free)

/*
 * mark_options_set: take one attribute.
 * @errp: set, without a line, if there is no such option or the value is none
 *        that it takes.
 *
 * Returns false on failure.
 */
bool mark_options_set(MarkOptions *options, const char *name,
                      const char *value, GError **errp);

/*
 * mark_options_get: the value that was given, NULL if none was.
 */
const char *mark_options_get(const MarkOptions *options, const char *name);

/*
 * mark_options_check: can these be the options of one netdev?
 * @out: see af_xdp_options_check(); to be cleared in any case.
 */
bool mark_options_check(const MarkOptions *options, AfXdpOptions *out,
                        GError **errp);

/*
 * mark_options_netdev: append the netdev's options, each with a comma before
 * it, in the table's order and with values as -netdev takes them, to @out;
 * without ifname.
 */
void mark_options_netdev(const MarkOptions *options, GString *out);

/*
 * iothread_id: the id of the object that @name means; a number is libvirt's
 * thread of that number. To be freed with g_free().
 */
char *iothread_id(const char *name);

/* option_kind: what is the attribute @name? */
OptionKind option_kind(const char *name);

/*
 * options_list: the table for a reader: a line for each option with its name,
 * type and meaning. To be freed with g_free().
 */
char *options_list(void);

/*
 * option_append: append ",NAME=VALUE" or, if @out is empty, "NAME=VALUE" as
 * QEMU's command line wants it: a comma in the value is doubled.
 */
void option_append(GString *out, const char *name, const char *value);

#endif /* TOOLS_DOMAIN_OPTIONS_H */
