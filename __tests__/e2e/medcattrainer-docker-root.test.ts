import { workflowsOn } from './stack.ts';

workflowsOn(
  {
    title: 'MedCATtrainer on Docker as root',
    fixture: 'medcattrainer',
    user: undefined,
    engine: 'docker',
    compose: 'docker compose',
    path: [],
    healthTimeout: '25s',
    name: 'e2e-mct-root',
  },
  {
    first: 'v2.11.2',
    good: 'v2.12.0',
    more: { patch: ['v2.12.7', 'good'], bad: 'v2.13.0' },
    parts: ['api-media', 'api-static', 'configs', 'db', 'project-files', 'solr-data'],
  },
);
