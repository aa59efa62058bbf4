/* posternctl attach, detach: networks of a pod that runs, through the hot-plug door.
 * Runs in: posternctl, as the user that the door belongs to. */
#ifndef CTL_PLUG_H
#define CTL_PLUG_H

#include "netpriv/role.h"

#define PLUG_SOCKET "/run/postern-hotplug/postern.sock"

/* verb CNI_ADD or CNI_DEL; argv: what stands behind the command. The exit status; usage errors are 2. */
int plug_run(enum cni_verb verb, int argc, char **argv);

extern const char plug_usage[];

#endif
