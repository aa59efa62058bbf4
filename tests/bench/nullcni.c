/* A CNI plugin that costs no more than a process does, so that what is left of a command's time is Postern's own. ADD answers
 * an interface with an address that nobody configured.  Runs in: benchmark and stress test, as a delegate. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int
main(void)
{
	const char *verb = getenv("CNI_COMMAND"), *ifname = getenv("CNI_IFNAME"), *netns = getenv("CNI_NETNS"), *v;
	char conf[16384], version[16] = "1.0.0";
	size_t used = 0;
	ssize_t n;

	while (used < sizeof(conf) - 1 && (n = read(0, conf + used, sizeof(conf) - 1 - used)) > 0)
		used += (size_t)n;
	conf[used] = '\0';
	if (!verb || strcmp(verb, "ADD"))
		return verb ? 0 : 1;
	v = strstr(conf, "\"cniVersion\"");
	if (v)
		sscanf(v + sizeof("\"cniVersion\"") - 1, " : \"%15[0-9.]", version);
	printf("{\"cniVersion\":\"%s\",\"interfaces\":[{\"name\":\"%s\",\"mac\":\"02:00:00:00:00:03\",\"sandbox\":\"%s\"}],"
	       "\"ips\":[{%s\"interface\":0,\"address\":\"10.1.2.3/24\"}],\"dns\":{}}\n",
	       version, ifname ? ifname : "", netns ? netns : "", version[0] == '0' ? "\"version\":\"4\"," : "");
	return 0;
}
