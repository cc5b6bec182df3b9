/*
 * AF_XDP domain filter: what the domain's memory must be like
 *
 * Guest zero-copy needs RAM that is shared and has a file descriptor, and the
 * right to lock all of it. Where the mark asks for it (zero-copy='on') what is
 * missing is added; what the user has decided otherwise is an error.
 *
 * Threads: one at a time.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef TOOLS_DOMAIN_MEMORY_H
#define TOOLS_DOMAIN_MEMORY_H

#include "nic.h"

/*
 * memory_plan: check the domain's memory against what @nics need, and have
 * added what is missing.
 *
 * Returns false with @errp set if what is there contradicts it.
 */
bool memory_plan(Source *source, const GPtrArray *nics, Report *report,
                 GError **errp);

#endif /* TOOLS_DOMAIN_MEMORY_H */
