/* posternctl verify: is every role confined as this build means it to be?  Runs in: posternctl,
 * as root. */
#ifndef CTL_VERIFY_H
#define CTL_VERIFY_H

#include <stdbool.h>

#define DOOR_DEFAULT "/run/postern/postern.sock"

/* Looks up the service behind the socket door, prints what was found beside what is expected, as
 * a table or (json) as an array of {role, check, found, expected, ok}. Exit status: 0 all as
 * expected, 1 any difference or no service. */
int verify_run(const char *door, bool json);

#endif
