import { required } from './harness.ts';
import { workflowsOn } from './stack.ts';

workflowsOn(
  {
    title: 'MedCATtrainer on Docker as a user of the group docker',
    fixture: 'medcattrainer',
    user: required('CARETAKER_TEST_DOCKER_USER'),
    engine: 'docker',
    compose: 'docker compose',
    path: [],
    healthTimeout: '25s',
    name: 'e2e-mct-docker',
  },
  {
    first: 'v2.11.2',
    good: 'v2.12.0',
    parts: ['api-media', 'api-static', 'configs', 'db', 'project-files', 'solr-data'],
  },
);
