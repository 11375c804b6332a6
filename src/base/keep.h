/* SPDX-License-Identifier: MIT */
/* keep -- memory that stays for ever on purpose, because the kernel may still write there. */
#ifndef WI_BASE_KEEP_H
#define WI_BASE_KEEP_H

/* Says so of a block from malloc, or NULL: no leak. LeakSanitizer believes it; valgrind has no word
 * for it. */
void wi_keep(const void *block);

#endif /* WI_BASE_KEEP_H */
