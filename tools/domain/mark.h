/*
 * AF_XDP domain filter: which interfaces are meant
 *
 * libvirt drops elements that it does not know from an <interface>, but keeps
 * the domain's <metadata>. So a mark is an element there, in a namespace of
 * its own, that names the interface:
 *
 *   <metadata>
 *     <af-xdp:interfaces xmlns:af-xdp='MARK_NS'>
 *       <af-xdp:interface dev='veth0' queues='2'/>
 *     </af-xdp:interfaces>
 *   </metadata>
 *
 * In a document that libvirt has not seen yet it may stand in the <interface>
 * instead and then need not name it. The filter moves it to the metadata, and
 * moves the <interface> into it: what the arguments for QEMU are made of stays
 * in the domain, so that they can be made anew.
 *
 * Threads: one at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TOOLS_DOMAIN_MARK_H
#define TOOLS_DOMAIN_MARK_H

#include "options.h"
#include "source.h"

#define MARK_NS "http://qemu.org/schemas/domain/af-xdp/1.0"
#define MARK_PREFIX "af-xdp"

typedef struct Mark {
    xmlNode *node;          /* the mark's element */
    xmlNode *interface;     /* the <interface> that is meant */
    bool inside;            /* the mark is in the <interface> */
    bool converted;         /* the <interface> is in the mark */
    int line;               /* of the mark */
    MarkOptions *options;
} Mark;

/*
 * marks_find: all marks of a domain, with the interfaces that they mean.
 *
 * Returns an array of Mark, to be unreferenced; NULL with @errp set if a mark
 * names no interface, one of another type, or one that has a mark already, or
 * has an option that there is not.
 */
GPtrArray *marks_find(const Source *source, GError **errp);

/*
 * marks_save: have the interfaces, of which those that are not converted yet
 * are taken out of the devices, kept in the metadata.
 * @addresses: for each mark, the <address> to give its interface, or NULL
 * @instead: for each mark, an element to put in the place of its interface,
 *           or NULL
 */
void marks_save(Source *source, const GPtrArray *marks,
                char *const *addresses, char *const *instead);

#endif /* TOOLS_DOMAIN_MARK_H */
