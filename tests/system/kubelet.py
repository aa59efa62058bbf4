"""A kubelet as far as devices go: grpcio serves pod resources on a unix socket, and a checkpoint file lies beside it."""
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys
import threading

import grpc


def messages(directory):
    """The protocol's classes, by protoc."""
    if "podresources_pb2" not in sys.modules:
        subprocess.run(["protoc", f"--proto_path={pathlib.Path(__file__).parent}", f"--python_out={directory}", "podresources.proto"],
                       check=True)
        sys.path.insert(0, str(directory))
        try:
            import podresources_pb2  # noqa: F401
        finally:
            sys.path.remove(str(directory))
    return sys.modules["podresources_pb2"]


class Kubelet:
    """devices: (namespace, pod) -> list of containers, each resource -> list of ids."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(mode=0o750, exist_ok=True)
        self.socket, self.checkpoint = self.dir / "kubelet.sock", self.dir / "checkpoint"
        self.pb = messages(self.dir)
        self.devices, self.answer, self.calls, self.server = {}, None, 0, None
        self.lock = threading.Lock()

    def start(self, service="v1.PodResourcesLister", **options):
        self.stop()
        handler = grpc.unary_unary_rpc_method_handler(self.list, request_deserializer=self.pb.ListPodResourcesRequest.FromString,
                                                      response_serializer=lambda m: m if isinstance(m, bytes) else
                                                      m.SerializeToString())
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), **options)
        self.server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, {"List": handler})])
        assert self.server.add_insecure_port(f"unix:{self.socket}")
        self.server.start()
        return self

    def stop(self):
        if self.server:
            self.server.stop(0).wait()
            self.server = None
        self.socket.unlink(missing_ok=True)

    def list(self, request, context):
        with self.lock:
            self.calls += 1
        if self.answer:  # a test's own: a message, bytes, or an error of the context's
            return self.answer(context)
        return self.response()

    def response(self):
        response = self.pb.ListPodResourcesResponse()
        for (namespace, name), containers in self.devices.items():
            pod = response.pod_resources.add(name=name, namespace=namespace)
            for i, resources in enumerate(containers):
                c = pod.containers.add(name=f"c{i}", cpu_ids=[1, 2, 2**40])
                c.memory.add(memory_type="memory", size=2**63).topology.nodes.add(ID=1)
                c.dynamic_resources.add(class_name="gpu", claim_name="gpu").claim_resources.add().cdi_devices.add(name="x/y=z")
                for resource, ids in resources.items():
                    for node, device in enumerate(ids):  # one entry a NUMA node, as the kubelet has it
                        c.devices.add(resource_name=resource, device_ids=[device]).topology.nodes.add(ID=node % 2)
        return response

    def give(self, pod, *containers):
        self.devices[pod.namespace, pod.name] = containers

    def write_checkpoint(self, entries):
        """entries: (uid, resource, {numa: ids})."""
        data = {"PodDeviceEntries": [{"PodUID": uid, "ContainerName": "c", "ResourceName": resource, "DeviceIDs": ids,
                                      "AllocResp": "CgA="} for uid, resource, ids in entries],
                "RegisteredDevices": {"example.com/nic": ["a"]}}
        self.checkpoint.write_text(json.dumps({"Data": data, "Checksum": 1}))
        os.chmod(self.checkpoint, 0o600)

    def config(self, info, **more):
        return {"podResources": str(self.socket), "checkpoint": str(self.checkpoint), "info": str(info), **more}
