/*
 * AF_XDP domain filter: what is in an <interface>, element by element
 *
 * Threads: one at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TOOLS_DOMAIN_NIC_READER_H
#define TOOLS_DOMAIN_NIC_READER_H

#include "nic.h"

/* What is found; strings are NULL if it is not there. */
typedef struct Reader {
    const Source *source;
    Nic *nic;               /* gets model, properties, boot and address */
    Report *report;
    char *alias;            /* only if the user has chosen it */
    char *target;
    char *mac;
    char *queues;           /* <driver queues=> */
    GError **errp;
} Reader;

/*
 * reader_take_all: read all elements of @interface into @reader.
 *
 * Returns false, with an error set, if there is anything that cannot be kept.
 */
bool reader_take_all(Reader *reader, const xmlNode *interface);

#endif /* TOOLS_DOMAIN_NIC_READER_H */
