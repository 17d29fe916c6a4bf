/* What --help says of each command, behind its usage and purpose, and of all of them. */
#ifndef TOOLS_MANUAL_H
#define TOOLS_MANUAL_H

extern const char manual_put[];
extern const char manual_get[];
extern const char manual_del[];
extern const char manual_scan[];
extern const char manual_tables[];
extern const char manual_stat[];
extern const char manual_top[];
extern const char manual_check[];
extern const char manual_checkpoint[];
extern const char manual_compact[];
extern const char manual_diff[];
extern const char manual_hash[];
extern const char manual_load[];
extern const char manual_dump[];
extern const char manual_shell[];
extern const char manual_dots[];
extern const char manual_bench[];
extern const char manual_migrate[];
extern const char manual_page[];
extern const char manual_recover[];
extern const char manual_outcomes[];
extern const char manual_general[];

#endif
