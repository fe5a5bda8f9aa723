import { required } from './harness.ts';
import { workflowsOn } from './stack.ts';

workflowsOn(
  {
    title: 'USO on rootless Podman with podman-compose 1.6.0',
    fixture: 'uso',
    user: required('CARETAKER_TEST_ROOTLESS_USER'),
    engine: 'podman',
    compose: 'podman-compose',
    path: [required('CARETAKER_TEST_PODMAN_COMPOSE_160_DIR')],
    // Under Debian 12's netavark a container may be without DNS for some 40 s when another joins.
    healthTimeout: '70s',
    name: 'e2e-uso',
    encrypted: true,
  },
  {
    first: 'v1.0.0',
    good: 'v1.1.0',
    more: { patch: ['v1.1.1', 'patch'], bad: 'v1.2.0' },
    parts: ['database', 'local', 'project-files'],
  },
);
