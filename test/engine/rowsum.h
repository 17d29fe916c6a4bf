/* The digest of all rows of a store, as the public interface shows them; also inside
 * hooks of the simulator. */
#ifndef TEST_ENGINE_ROWSUM_H
#define TEST_ENGINE_ROWSUM_H

#include "engine/store.h"

/* SCN_CORRUPT also where a table's count is not that of its rows. */
scn_status rowsum_digest(scn_db *db, uint8_t out[16]);

#endif
