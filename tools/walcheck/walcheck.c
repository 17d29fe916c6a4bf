/* The command `scrine-walcheck`: looks at a store without opening it. */
#include "tools/outcome.h"
#include "tools/output.h"
#include "tools/walcheck/errand.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct request request;
    outcome_set_program("scrine-walcheck");
    output_prepare();
    enum outcome outcome = request_parse(&request, argc, argv);
    if (outcome != OUTCOME_OK)
        return (int)output_finish(outcome);
    if (request.is_help)
        request_print_help();
    else if (request.is_version)
        printf("scrine-walcheck %s\n", scn_version());
    else
        outcome = errand_run(&request);
    return (int)output_finish(outcome);
}
