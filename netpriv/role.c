/* Names of roles and verbs.  Runs in: every process. */
#include "netpriv/role.h"

const char *
role_name(enum role role)
{
	static const char *const names[ROLE_COUNT] = {
		[ROLE_ANY] = "any",	  [ROLE_SUPERVISOR] = "supervisor", [ROLE_NETPRIV] = "netpriv",
		[ROLE_EXEC] = "exec",	  [ROLE_BROKER] = "broker",	    [ROLE_KUBE] = "kube",
		[ROLE_WORKER] = "worker", [ROLE_SHIM] = "shim",		    [ROLE_READER] = "reader",
		[ROLE_DELEGATE] = "delegate", [ROLE_STORE] = "store", [ROLE_DIAL] = "dial",
		[ROLE_DEVICES] = "devices", [ROLE_AUTOCONF] = "autoconf", [ROLE_METRICS] = "metrics",
	};

	return (unsigned)role < ROLE_COUNT ? names[role] : "?";
}

const char *
cni_verb_name(unsigned verb)
{
	static const char *const names[CNI_VERB_COUNT] = {
		[CNI_ADD] = "ADD", [CNI_DEL] = "DEL",	    [CNI_CHECK] = "CHECK",
		[CNI_GC] = "GC",   [CNI_STATUS] = "STATUS",
	};

	return verb >= CNI_ADD && verb < CNI_VERB_COUNT ? names[verb] : "?";
}
