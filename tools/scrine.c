/* The command `scrine`: reads and writes stores from a shell, through the public
 * interface alone. */
#include "tools/commands.h"
#include "tools/output.h"

int main(int argc, char **argv)
{
    output_prepare();
    return (int)output_finish(commands_run(argc, argv));
}
