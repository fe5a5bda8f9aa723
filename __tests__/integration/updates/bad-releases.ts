import { readdirSync } from 'node:fs';
import { testHost } from '../as-user.ts';
import { as, succeeded, type Deployment } from '../modes/harness.ts';

/** What the releases below run into. */
export interface Trouble {
  /** A port of the host that another process listens on. */
  readonly taken: number;
  /** An image of the next PostgreSQL major. */
  readonly nextMajor: string;
}

export interface BadRelease {
  /** A shell script that makes v1.0.0 bad. */
  readonly edit: (trouble: Trouble) => string;
  /** Of `update`; `--build auto` otherwise. */
  readonly flags?: readonly string[];
  readonly code: string;
  /** Stands in the error or in the last words of a service, both of which a reader of the run gets. */
  readonly reason: RegExp;
  /** Its reason shows only when its network is up, which takes Podman's netavark 1.4 up to 40 s. */
  readonly online?: true;
  /** Found out while the old version serves: nobody is refused for a moment. */
  readonly early?: true;
  /** Found out by looking at the release as git has it. */
  readonly untouched?: true;
}

const stack = 'docker-compose.yml';
const ledger = 'usonline/ledger.py';
const otherImage = (image: string): string =>
  `sed -i -e '/build:/d' -e 's|image: usonline.*|image: ${image}|' ${stack}`;
const atStart = (command: string): string => `sed -i '/^exec/i ${command}' deploy/entrypoint.sh`;
const cannotStart = `sed -i '1i raise SystemExit("ERROR: no module named settings")' usonline/server.py`;
const databaseOfNextMajor = ({ nextMajor }: Trouble): string =>
  `sed -i 's|image: .*postgres:17.*|image: ${nextMajor}|' ${stack}`;

export const releases: Readonly<Record<string, BadRelease>> = {
  'does not build': {
    edit: () => `echo 'RUN echo "ERROR: no wheel for usonline" >&2; exit 1' >>deploy/nginx/Containerfile`,
    code: 'compose-failed',
    reason: /no wheel for usonline/,
    early: true,
  },
  'has a tag that no registry knows': {
    edit: () => otherImage(`${testHost('CARETAKER_TEST_REGISTRY')}/nobody/usonline:9.9.9`),
    code: 'image-missing',
    reason: /nobody\/usonline:9\.9\.9.*(manifest unknown|not found)/s,
    early: true,
  },
  'names an image that was never built': {
    edit: () => otherImage('localhost/caretaker-test/absent:1'),
    flags: ['--build', 'none'],
    code: 'image-missing',
    reason: /localhost\/caretaker-test\/absent:1 \(web\)/,
    early: true,
  },
  'has a compose file that is no YAML': {
    edit: () => `echo '  web: [' >>${stack}`,
    code: 'compose-file-invalid',
    reason: /docker-compose\.yml of v1\.1\.\d+ at line \d+/,
    early: true,
    untouched: true,
  },
  'mounts a volume that it does not declare': {
    edit: () => `sed -i 's|- ./site.conf:.*|&\\n      - cache:/var/cache/usonline|' ${stack}`,
    code: 'compose-file-invalid',
    reason: /cache/,
    early: true,
  },
  'publishes a port that another process has': {
    edit: ({ taken }) => `sed -i 's|- "\${WEB_PORT}:8000"|&\\n      - "127.0.0.1:${taken}:8001"|' ${stack}`,
    code: 'port-taken',
    reason: /web is to publish 127\.0\.0\.1:\d+, and another process listens there/,
    early: true,
  },
  'exits at once and stays down': {
    edit: () => `${cannotStart}; sed -i '/^  web:/,$ s/restart: always/restart: "no"/' ${stack}`,
    code: 'unhealthy',
    reason: /web: exited with code 1.*no module named settings/s,
  },
  'exits and is restarted for ever': {
    edit: () => cannotStart,
    code: 'unhealthy',
    reason: /no module named settings/,
  },
  'listens and says 503 of its own health': {
    edit: () => `sed -i "s|^    def health(self):|&\\n        raise RuntimeError('no queue')|" ${ledger}`,
    code: 'unhealthy',
    reason: /\/health: 503 instead of 200/,
    online: true,
  },
  'answers every request with 500': {
    edit: () => `sed -i '0,/if LEVEL > 2:/s//if True:/' ${ledger}`,
    code: 'unhealthy',
    reason: /\/health: 500 instead of 200/,
    online: true,
  },
  'accepts connections and never answers': {
    edit: () => `sed -i 's|^        def do_GET(self):|&\\n            time.sleep(3600)|' ${ledger}`,
    code: 'unhealthy',
    reason: /\/health: no answer within 10 s/,
    online: true,
  },
  'commits one migration and fails in the next': {
    edit: () =>
      `cp "$migrations"/0002* usonline/migrations
      printf 'UPDATE accounts SET balance = 0;\\nSELECT no_such_column FROM accounts;\\n' >usonline/migrations/0003_totals.sql`,
    code: 'unhealthy',
    reason: /column "no_such_column" does not exist/,
    online: true,
  },
  'drops a table, deletes and rewrites files, and dies': {
    edit: () =>
      `cp "$migrations"/000[23]* usonline/migrations
      sed -i 's/BAD_RELEASE: .*/BAD_RELEASE: crash/' ${stack}
      ${atStart('rm -rf shared media/photo.jpg; echo ruined >settings.py; chmod 777 secret.key')}`,
    code: 'unhealthy',
    reason: /relation "documents" does not exist/,
    online: true,
  },
  'writes until the disk of its data is full': {
    edit: () => atStart('rm -f /opt/usonline/spool/queue; dd if=/dev/zero of=/opt/usonline/spool/fill bs=64k'),
    code: 'unhealthy',
    reason: /No space left on device/,
  },
  'moves the database to the next PostgreSQL major': {
    edit: databaseOfNextMajor,
    code: 'postgres-major-change',
    reason: /the new version runs PostgreSQL 18 .* as database, whose data are of PostgreSQL 17/,
    early: true,
    untouched: true,
  },
  'moves it there by a variable': {
    edit: ({ nextMajor }) => `sed -i 's|image: .*postgres:17.*|image: \${NEXT_POSTGRES:-${nextMajor}}|' ${stack}`,
    code: 'postgres-major-change',
    reason: /the new version runs PostgreSQL 18 .* as database, whose data are of PostgreSQL 17/,
    early: true,
  },
  'moves it there, and is allowed to try': {
    edit: databaseOfNextMajor,
    flags: ['--build', 'auto', '--allow', 'postgres-major'],
    code: 'unhealthy',
    reason: /database files are incompatible with server/,
  },
  'begins with an empty database elsewhere, brings a service, a network and a volume along, and does not start': {
    edit: () =>
      `${cannotStart}
      sed -i 's|- ./database:|- ./pgdata:|' ${stack}
      sed -i 's|^  web:|  worker:\\n    image: localhost/caretaker-test/plain:1\\n    command: sleep infinity\\n    networks: [backend]\\n    volumes: ["queue:/queue"]\\n&|' ${stack}
      printf 'networks:\\n  backend: {}\\nvolumes:\\n  queue: {}\\n' >>${stack}`,
    code: 'unhealthy',
    reason: /no module named settings/,
  },
};

export type Things = Readonly<Record<string, readonly string[]>>;

/** What lies about on the host because of this deployment. */
export async function thingsOf(app: Deployment): Promise<Things> {
  const { project, instance, image } = app.facts;
  const lines = async (...words: readonly string[]): Promise<string[]> =>
    succeeded(await app.engine(...words)).split('\n').filter(Boolean).sort(); // prettier-ignore
  const ours = (names: readonly string[]): string[] => names.filter((name) => name.includes(project));
  const names = await lines('images', '--format', '{{.Repository}}:{{.Tag}}');
  const database = Object.entries(await app.containers()).find(([service]) => service === 'database')?.[1].id ?? '';
  const slots = 'SELECT slot_name FROM pg_replication_slots';
  return {
    containers: ours(await lines('ps', '--all', '--format', '{{.Names}}')),
    networks: ours(await lines('network', 'ls', '--format', '{{.Name}}')),
    volumes: ours(await lines('volume', 'ls', '--format', '{{.Name}}')),
    images: names.filter((name) => name.includes(project) || name.includes(String(image))),
    nameless: await lines('images', '--quiet', '--filter', 'dangling=true', '--filter', `label=usonline.deployment=${project}`), // prettier-ignore
    files: readdirSync(instance)
      .filter((name) => name !== '.caretaker')
      .sort(),
    slots: await lines('exec', database, 'psql', '-U', 'usonline', '-d', 'usonline', '-Atc', slots),
  };
}

/** The base image as one of the next major: its server refuses the directory of the last one, in the real one's words. */
export async function nextMajor(app: Deployment, name: string): Promise<void> {
  const refuse = [
    'exec >&2',
    'echo FATAL: database files are incompatible with server',
    'echo "DETAIL: The data directory was initialized by PostgreSQL version $(cat $PGDATA/PG_VERSION)."',
    'exit 1',
  ].join('; ');
  const containerfile = `FROM localhost/caretaker-test/base:1\nENV PG_MAJOR=18\nENTRYPOINT ${JSON.stringify(['sh', '-c', refuse])}`;
  const build = 'printf "%s\\n" "$3" | "$1" build -q -t "$2" -';
  succeeded(await as(app.host, ['sh', '-c', build, 'sh', app.host.engine, name, containerfile]));
}
