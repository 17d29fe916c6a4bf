/* A whole file, as anybody may have written it, is opened and used.
 *
 *     how u8 (survey.h) | image (test/fuzz/image.h)
 *
 * An input of a few bytes is the number of a recipe: a store that the engine makes, with
 * pages of every kind, and a log that is not merged.  The mutator turns it into its image
 * and then changes that, mostly with checksums repaired. */
#include "test/fuzz/recipe.h"
#include "test/fuzz/stage.h"
#include "test/fuzz/survey.h"
#include "test/fuzz/target.h"

static struct image image;

/* ---- running ---- */

static void run_files(const uint8_t *data, size_t size)
{
    struct feed feed = feed_of(data, size);
    (void)feed_u8(&feed); /* survey_how looks at it */
    if (size <= RECIPE_BYTES_MAX)
        recipe_cook(&image, feed_u8(&feed), feed_u8(&feed));
    else
        image_decode(&image, &feed);
    struct sys *sys = stage_build();
    stage_put_file(sys, image.bytes, image.size);
    survey_lives(sys, survey_how(data, size));
    stage_strike(sys);
}

FUZZ_TARGET(files, run_files, recipe_mutate)
