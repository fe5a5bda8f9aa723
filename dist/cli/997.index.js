export const id = 997;
export const ids = [997];
export const modules = {

/***/ 83916:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   Ur: () => (/* binding */ CaretakerErrors),
/* harmony export */   bD: () => (/* binding */ messageOf),
/* harmony export */   xT: () => (/* binding */ CaretakerError)
/* harmony export */ });
/**
 * The one error type that a user sees: a stable code, one sentence that names the thing, a hint with the next
 * action, and the cause. It is thrown where the trouble is known best and shown once, by the entry.
 */
class CaretakerError extends Error {
    /** Stable, kebab-case, documented in docs/errors.md, e.g. `compose-file-missing`. */
    code;
    /** What the user should do next; whole sentences. */
    hint;
    /** The input at fault, by its kebab-case name, where there is one. */
    input;
    constructor(code, message, options = {}) {
        super(message, options.cause === undefined ? undefined : { cause: options.cause });
        this.name = 'CaretakerError';
        this.code = code;
        this.hint = options.hint;
        this.input = options.input;
    }
}
/** Several problems found together (settings, preflight), so that a user mends them in one go. */
class CaretakerErrors extends Error {
    problems;
    constructor(problems) {
        super(problems.map((problem) => problem.message).join('\n'));
        this.name = 'CaretakerErrors';
        this.problems = problems;
    }
}
/** The message of anything thrown, for texts of our own. */
function messageOf(error) {
    return error instanceof Error ? error.message : String(error);
}


/***/ }),

/***/ 75884:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {


// EXPORTS
__webpack_require__.d(__webpack_exports__, {
  p: () => (/* binding */ installRecovery)
});

// EXTERNAL MODULE: external "node:fs"
var external_node_fs_ = __webpack_require__(73024);
// EXTERNAL MODULE: external "node:path"
var external_node_path_ = __webpack_require__(76760);
var external_node_path_default = /*#__PURE__*/__webpack_require__.n(external_node_path_);
// EXTERNAL MODULE: external "node:crypto"
var external_node_crypto_ = __webpack_require__(77598);
// EXTERNAL MODULE: external "node:fs/promises"
var promises_ = __webpack_require__(51455);
// EXTERNAL MODULE: ./src/errors.ts
var errors = __webpack_require__(83916);
// EXTERNAL MODULE: ./src/system/files.ts
var files = __webpack_require__(31650);
;// CONCATENATED MODULE: ./src/safety/boot-unit.ts





/** https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html */
function bootUnit({ argv, environment, projectDirectory, places, scope, directory }) {
    const label = external_node_path_default().basename(projectDirectory).replaceAll(/[^A-Za-z0-9_-]/g, '-');
    // Two projects may have directories of one name.
    const hash = (0,external_node_crypto_.createHash)('sha256').update(projectDirectory).digest('hex').slice(0, 8);
    const name = `compose-caretaker-recover-${label}-${hash}.service`;
    const target = scope === 'system' ? 'multi-user.target' : 'default.target';
    const journal = external_node_path_default().join(projectDirectory, '.caretaker', 'journal.jsonl');
    const text = [
        '[Unit]',
        `Description=Compose Caretaker puts right what was cut off in ${plain(projectDirectory)}`,
        ...(scope === 'system'
            ? ['Wants=network-online.target', 'After=network-online.target docker.service podman.service']
            : []),
        `RequiresMountsFor=${[...new Set(places)].map(quoted).join(' ')}`,
        `ConditionPathExists=${plain(journal)}`,
        'StartLimitIntervalSec=1h',
        'StartLimitBurst=10',
        '',
        '[Service]',
        'Type=oneshot',
        ...Object.entries(environment).map(([variable, value]) => `Environment=${quoted(`${variable}=${value}`)}`),
        `ExecStart=${argv.map((word) => quoted(word.replaceAll('$', '$$$$'))).join(' ')}`,
        'TimeoutStartSec=infinity',
        '# The engine may not answer yet.',
        'Restart=on-failure',
        'RestartSec=60',
        '',
        '[Install]',
        `WantedBy=${target}`,
        '',
    ].join('\n');
    return { name, text, file: external_node_path_default().join(directory, name), link: external_node_path_default().join(directory, `${target}.wants`, name) };
}
/** Writes and enables it, again where it is there already. `boot-unit-failed`. */
async function installBootUnit({ file, link, text }) {
    try {
        await (0,promises_.mkdir)(external_node_path_default().dirname(link), { recursive: true, mode: 0o755 });
        await (0,files/* writeAtomic */.vZ)(file, text, 0o644);
        await (0,promises_.rm)(link, { force: true });
        await (0,promises_.symlink)(file, link);
    }
    catch (error) {
        throw new errors/* CaretakerError */.xT('boot-unit-failed', `failed to install ${file}: ${(0,errors/* messageOf */.bD)(error)}`, {
            hint: 'The user must be able to write there: root for a unit of the host, otherwise the user whose containers they are.',
            cause: error,
        });
    }
}
/** `%` begins a specifier. A line end would begin another setting. */
function plain(text) {
    return text.replaceAll('%', '%%').replaceAll(/[\n\r]/g, ' ');
}
/** https://www.freedesktop.org/software/systemd/man/latest/systemd.syntax.html, "Quoting". */
function quoted(text) {
    const escaped = text
        .replaceAll('\\', '\\\\')
        .replaceAll('"', '\\"')
        .replaceAll('\n', '\\n')
        .replaceAll('\r', '\\r')
        .replaceAll('%', '%%');
    return `"${escaped}"`;
}

// EXTERNAL MODULE: ./src/settings/inputs.ts
var inputs = __webpack_require__(97428);
// EXTERNAL MODULE: ./src/settings/load.ts
var load = __webpack_require__(54037);
// EXTERNAL MODULE: ./src/settings/sources.ts
var sources = __webpack_require__(89651);
;// CONCATENATED MODULE: ./src/install-recovery.ts






/**
 * `compose-caretaker install-recovery`, with the flags of mode `recover`: writes and enables a unit of systemd that runs it when the host has started. Answers with
 * what a reader has to know and do, a line each. Throws what is wrong with the flags, and `boot-unit-failed`.
 */
async function installRecovery(words, world) {
    const { env, cwd, uid, userName, home, program } = world;
    const { options: _options, ...raw } = (0,sources/* fromArguments */.ZN)(['recover', ...words], env);
    const settings = (0,load/* loadSettings */.M)(raw, (0,load/* environmentOf */.p)({ env, cwd, inWorkflow: false }));
    if (settings.mode !== 'recover')
        throw new TypeError('the settings are not those of the mode that was given');
    const { projectDirectory, sourceDirectory, warnings } = settings;
    const scope = uid === 0 ? 'system' : 'user';
    const units = scope === 'system'
        ? '/etc/systemd/system'
        : external_node_path_default().join(env['XDG_CONFIG_HOME'] ?? external_node_path_default().join(home, '.config'), 'systemd/user');
    const unit = bootUnit({
        environment: Object.fromEntries(['PATH', 'DOCKER_HOST', 'DOCKER_CONTEXT', 'CONTAINER_HOST'].flatMap((name) => {
            const value = env[name];
            return value === undefined || value === '' ? [] : [[name, value]];
        })),
        argv: [...program, 'recover', ...flagsOf(raw.values, projectDirectory)],
        projectDirectory,
        places: [projectDirectory, sourceDirectory ?? projectDirectory, ...program.map((file) => external_node_path_default().dirname(file))],
        ...{ scope, directory: units },
    });
    await installBootUnit(unit);
    const manager = scope === 'system' ? 'systemctl' : 'systemctl --user';
    return [
        ...warnings,
        `${unit.file} is written and enabled: mode recover runs when the host has started, where something was cut off.`,
        `Let systemd know of it now: ${manager} daemon-reload`,
        `Try it: ${manager} start ${unit.name}`,
        `Take it away: ${manager} disable ${unit.name} && rm ${unit.file}`,
        ...(scope === 'user' && !(0,external_node_fs_.existsSync)(`/var/lib/systemd/linger/${userName}`)
            ? [`Until this is done it waits for ${userName} to log in: loginctl enable-linger ${userName}`]
            : []),
        ...(program.some((file) => /\/(_work|_actions|externals)\//.test(file))
            ? [
                'This program, or its Node, lies where a runner keeps what it may remove. Install again from a clone and a Node of your own.',
            ]
            : []),
    ];
}
/** What was typed, for another current directory, and without what has no effect there. A secret is never among it. */
function flagsOf(values, projectDirectory) {
    const flags = [`--project-directory=${projectDirectory}`];
    for (const [name, { text }] of Object.entries(values)) {
        const { modes, secret, list } = (0,inputs/* inputOf */.wg)(name);
        if (['mode', 'project-directory'].includes(name) || secret || !modes.includes('recover'))
            continue;
        for (const value of list === undefined ? [text] : text.split('\n'))
            flags.push(`--${name}=${value}`);
    }
    return flags;
}


/***/ }),

/***/ 73883:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   a$: () => (/* binding */ renderErrors),
/* harmony export */   tX: () => (/* binding */ errorTexts)
/* harmony export */ });
/* unused harmony export annotationOf */
/* harmony import */ var _errors_js__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(83916);

const UNEXPECTED = 'This is a fault of Compose Caretaker itself: please report it, with this text.';
/** One for every problem: several where they were found together. */
function errorTexts(error) {
    if (error instanceof _errors_js__WEBPACK_IMPORTED_MODULE_0__/* .CaretakerErrors */ .Ur)
        return error.problems.flatMap(errorTexts);
    const { message, chain } = messages(error);
    if (error instanceof _errors_js__WEBPACK_IMPORTED_MODULE_0__/* .CaretakerError */ .xT)
        return [{ code: error.code, message, hint: error.hint, chain }];
    const stack = error?.stack;
    const frames = typeof stack === 'string' ? stack.split('\n').filter((line) => /^\s+at /.test(line)) : [];
    return [
        {
            code: 'unexpected',
            message,
            hint: UNEXPECTED,
            chain: [...chain, ...frames.slice(0, 4).map((line) => line.trim())],
        },
    ];
}
/** For a terminal, and for the log of a workflow. */
function renderErrors(texts) {
    return texts.map(renderError).join('\n\n');
}
function renderError({ code, message, hint, chain }) {
    const indent = (text) => text.replaceAll('\n', '\n  ');
    return [
        `${indent(message)} [${code}]`,
        ...chain.map((cause) => `  because: ${indent(indent(cause))}`),
        ...(hint === undefined ? [] : [`  ${indent(hint)}`]),
    ].join('\n');
}
/** Title and text of an annotation. */
function annotationOf({ code, message, hint, chain }) {
    const because = chain.length === 0 ? [] : [`Because: ${chain.join('; ')}`];
    return { title: code, text: [message, ...because, ...(hint === undefined ? [] : [hint])].join('\n') };
}
function messages(error) {
    const all = [];
    const seen = new Set();
    const visit = (value) => {
        if (value === undefined || value === null || seen.has(value) || seen.size > 20)
            return;
        seen.add(value);
        const { message, errors, cause, code } = typeof value === 'object' ? value : {};
        const text = typeof message === 'string' ? message : typeof value === 'string' ? value : JSON.stringify(value);
        const said = text !== '' ? text : typeof code === 'string' ? code : 'an error without a message';
        if (!all.some((earlier) => earlier.includes(said)))
            all.push(said);
        for (const inner of Array.isArray(errors) ? errors : [])
            visit(inner);
        visit(cause);
    };
    visit(error);
    const [message = 'failed without saying why', ...chain] = all;
    return { message, chain };
}


/***/ }),

/***/ 6676:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   w: () => (/* binding */ plainText)
/* harmony export */ });
/**
 * Untrusted text (container logs, git's and builds' output) without what a terminal would obey: escape sequences and control characters,
 * except tab and line end.
 */
function plainText(text) {
    return text
        .replace(/\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g, '')
        .replace(/\r\n?/g, '\n')
        .replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, '');
}


/***/ }),

/***/ 20649:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   p: () => (/* binding */ Redactor)
/* harmony export */ });
/** Shorter ones would black out half of what is printed, and protect nothing. */
const SHORTEST = 4;
/** Secrets, and texts without them. One for a run: the log adds to it, the report is passed through it. */
class Redactor {
    #secrets = new Set();
    /** A secret of several lines is looked for line by line as well: logs are cut into lines. Answers with what is new. */
    add(secret) {
        const found = [secret, ...secret.split(/[\r\n]+/)]
            .map((text) => text.trim())
            .filter((text) => text.length >= SHORTEST && !this.#secrets.has(text));
        for (const text of found)
            this.#secrets.add(text);
        return [...new Set(found)];
    }
    text(text) {
        let result = text;
        // A secret may hold another one: the longest first.
        for (const secret of [...this.#secrets].sort((one, other) => other.length - one.length)) {
            result = result.replaceAll(secret, '***');
        }
        return result;
    }
    /** The same in every string of plain data. */
    deep(value) {
        if (typeof value === 'string')
            return this.text(value);
        if (Array.isArray(value))
            return value.map((item) => this.deep(item));
        if (value === null || typeof value !== 'object')
            return value;
        return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.deep(item)]));
    }
}


/***/ }),

/***/ 13621:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   a: () => (/* binding */ silentLog)
/* harmony export */ });
/* harmony import */ var _redact_js__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(20649);

/** Says nothing: for tests, and for --json, whose reader wants the report alone. `warnings` keeps what was warned of. */
function silentLog() {
    const warnings = [];
    const redactor = new _redact_js__WEBPACK_IMPORTED_MODULE_0__/* .Redactor */ .p();
    return {
        redactor,
        warnings,
        info: () => { },
        warn: (line) => void warnings.push(line),
        debug: () => { },
        group: (_title, work) => work(),
        progress: () => { },
        mask: (secret) => void redactor.add(secret),
    };
}


/***/ }),

/***/ 36218:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {


// EXPORTS
__webpack_require__.d(__webpack_exports__, {
  d: () => (/* binding */ terminalLog)
});

// EXTERNAL MODULE: ./src/report/plain-text.ts
var plain_text = __webpack_require__(6676);
// EXTERNAL MODULE: ./src/report/redact.ts
var redact = __webpack_require__(20649);
// EXTERNAL MODULE: ./src/report/units.ts
var units = __webpack_require__(17885);
;// CONCATENATED MODULE: ./src/report/throttle.ts

/** `database: 412 MB of 835 MB (49 %)`. The total is an estimate: more than that is shown without it. */
function progressText(what, doneBytes, totalBytes) {
    if (totalBytes === undefined || totalBytes === 0 || doneBytes > totalBytes)
        return `${what}: ${(0,units/* formatBytes */.z3)(doneBytes)}`;
    return `${what}: ${(0,units/* formatBytes */.z3)(doneBytes)} of ${(0,units/* formatBytes */.z3)(totalBytes)} (${Math.floor((doneBytes / totalBytes) * 100)} %)`;
}
/** True at most once in `intervalMs`, for each thing by itself, and not before the first interval is over: what is quick needs no progress. */
function throttle(intervalMs, now) {
    const last = new Map();
    return (what) => {
        const before = last.get(what);
        if (before === undefined)
            last.set(what, now());
        else if (now() - before >= intervalMs) {
            last.set(what, now());
            return true;
        }
        return false;
    };
}

;// CONCATENATED MODULE: ./src/report/terminal.ts




/** The log of a shell: colours and a moving progress line only on a terminal, and not where NO_COLOR is set. */
function terminalLog(output = process.stderr, { env = process.env, verbose = false, now = () => performance.now() } = {}) {
    const redactor = new redact/* Redactor */.p();
    const tty = output.isTTY === true && env['TERM'] !== 'dumb';
    const colours = tty && !env['NO_COLOR'];
    const due = throttle(tty ? 200 : 10_000, now);
    let depth = 0;
    let moving = false;
    const paint = (code, text) => (colours ? `\x1b[${code}m${text}\x1b[0m` : text);
    const clean = (text) => (0,plain_text/* plainText */.w)(redactor.text(text));
    const print = (text) => {
        if (moving)
            output.write('\r\x1b[K');
        moving = false;
        const indent = '  '.repeat(depth);
        output.write(`${indent}${text.replaceAll('\n', `\n${indent}`)}\n`);
    };
    return {
        redactor,
        info: (line) => print(clean(line)),
        warn: (line) => print(`${paint(33, 'warning:')} ${clean(line)}`),
        debug(line) {
            if (verbose)
                print(paint(2, clean(line)));
        },
        async group(title, work) {
            const start = now();
            print(paint(1, clean(title)));
            depth++;
            let mark = paint(31, '✗');
            try {
                const value = await work();
                mark = paint(32, '✓');
                return value;
            }
            finally {
                depth--;
                print(`${mark} ${clean(title)}: ${(0,units/* formatSeconds */.Xo)((now() - start) / 1000)}`);
            }
        },
        progress(what, done, total) {
            if (!due(what))
                return;
            const text = clean(progressText(what, done, total));
            if (!tty)
                return print(text);
            // A line that wraps can't be taken back.
            output.write(`\r\x1b[K${'  '.repeat(depth)}${text.slice(0, Math.max(20, (output.columns ?? 80) - 2 * depth - 1))}`);
            moving = true;
        },
        mask(secret) {
            redactor.add(secret);
        },
    };
}


/***/ }),

/***/ 88492:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {


// EXPORTS
__webpack_require__.d(__webpack_exports__, {
  f: () => (/* binding */ jsonSummary),
  j: () => (/* binding */ terminalSummary)
});

// EXTERNAL MODULE: ./src/report/errors-text.ts
var errors_text = __webpack_require__(73883);
// EXTERNAL MODULE: ./src/report/units.ts
var units = __webpack_require__(17885);
;// CONCATENATED MODULE: ./src/report/headline.ts

const marks = {
    done: '✅',
    'no-op': '✅',
    refused: '🛑',
    failed: '❌',
    incomplete: '⚠️',
    'rolled-back': '↩️',
    'rollback-failed': '🚨',
};
const nouns = {
    backup: 'Backup',
    update: 'Update',
    rehearse: 'Rehearsal',
    rollback: 'Rollback',
    restore: 'Restore',
    verify: 'Drill',
    recover: 'Recovery',
    list: 'List of the backups',
    status: 'Status',
};
const levels = {
    read: 'every byte was read, and the files of its databases were checked',
    databases: 'its databases were started and checked in a throwaway',
    application: 'the whole application came up on it in a throwaway',
};
/** One sentence that says how it ended. Plain text. */
function headline(report) {
    const { mode, project, outcome, update, restore, verify, backup, backups, plan, recovery, warnings } = report;
    const what = `${nouns[mode]} of ${project}`;
    switch (outcome) {
        case 'no-op':
            if (plan !== undefined)
                return update?.to === update?.from
                    ? `${project} is up to date${of(update?.from)}`
                    : `${project} would be updated${update?.from ? ` from ${update.from}` : ''} to ${update?.to ?? 'a newer version'}: a dry run, nothing was touched`;
            return mode === 'update' || mode === 'rehearse'
                ? `${project} is up to date${of(update?.from)}`
                : `${what}: nothing to do`;
        case 'refused':
            return `${what} refused: nothing was touched`;
        case 'failed':
            return `${what} failed`;
        case 'incomplete':
            return `${what} is in place, but something that follows it failed`;
        case 'rolled-back':
            return `${what} failed and was rolled back${mode !== 'restore' ? `: ${update?.from ?? 'the version before'} serves again` : ': the data from before serve again'}`;
        case 'rollback-failed':
            return `${what} failed, and so did the way back: ${project} needs you now`;
        case 'done':
            break;
    }
    switch (mode) {
        case 'backup':
            return `${what}${backup === undefined ? ' done' : `: ${(0,units/* formatBytes */.z3)(backup.bytes)} in ${(0,units/* formatSeconds */.Xo)(report.seconds)}`}`;
        case 'update':
            return `${project} updated${update?.from ? ` from ${update.from}` : ''}${update?.to ? ` to ${update.to}` : ''}`;
        case 'rehearse':
            return `${project} can be updated${update?.from ? ` from ${update.from}` : ''}${update?.to ? ` to ${update.to}` : ''}: it was tried on a copy of the data`;
        case 'rollback':
            return `${project} is back at ${update?.to ?? 'the version before'}${update?.from ? ` from ${update.from}` : ''}${restore === undefined ? ', with the data of now' : ', with the data from before'}`;
        case 'restore':
            if (restore?.to !== undefined)
                return `${restore.backup} of ${project} restored into ${restore.to}`;
            return `${project} restored${restore === undefined ? '' : ` from ${restore.backup}`}`;
        case 'verify':
            return `${verify?.backup ?? what} does: ${levels[verify?.level ?? 'read']}`;
        case 'recover':
            return recovery?.outcome === 'rolled-back'
                ? `${project} is as it was before the ${recovery.mode} that was cut off`
                : `The ${recovery?.mode ?? 'run'} of ${project} that was cut off is in place`;
        case 'list':
            return `${backups?.length ?? 0} ${backups?.length === 1 ? 'backup' : 'backups'} of ${project}`;
        case 'status':
            return `${what}: ${warnings.length === 0 ? 'nothing needs a hand' : warnings.length === 1 ? 'one warning' : `${warnings.length} warnings`}`;
    }
}
function of(version) {
    return version ? `: ${version}` : '';
}
/** What a reader asks next: how long users were without it. Undefined where the mode does not touch it. */
function downtimeText({ downtimeSeconds, mode, outcome }) {
    const untouched = ['list', 'status', 'verify', 'rehearse'].includes(mode);
    if (untouched || outcome === 'refused' || outcome === 'no-op')
        return undefined;
    if (downtimeSeconds === undefined || downtimeSeconds === 0)
        return 'none: nothing was stopped';
    return outcome === 'rollback-failed' ? `${(0,units/* formatSeconds */.Xo)(downtimeSeconds)} so far` : (0,units/* formatSeconds */.Xo)(downtimeSeconds);
}
/** Where nothing of the data was compressed, as stored equals raw. */
function sizeText(bytes, rawBytes) {
    return rawBytes === bytes ? (0,units/* formatBytes */.z3)(bytes) : `${(0,units/* formatBytes */.z3)(bytes)} of ${(0,units/* formatBytes */.z3)(rawBytes)}`;
}
/** When a drill last proved a backup, and what. */
function provenText(proven) {
    if (proven === null)
        return 'never';
    return `${proven.ok ? '' : 'FAILED '}${proven.at.slice(0, 10)}, ${proven.level}`;
}

// EXTERNAL MODULE: ./src/report/plain-text.ts
var plain_text = __webpack_require__(6676);
;// CONCATENATED MODULE: ./src/report/status.ts


/** What a reader sees, in rows of a name and its lines. Plain text, partly untrusted. `now`: ISO 8601. */
function statusRows(status, now) {
    const { lock, unfinished, lastUpdate, avoided, safety, aside, staging, images, throwaways, stores } = status;
    const age = (at) => (0,units/* formatAge */.nV)(Date.parse(now) - Date.parse(at));
    const size = (bytes) => (bytes === undefined ? 'unknown size' : (0,units/* formatBytes */.z3)(bytes));
    const day = (at) => at.slice(0, 16).replace('T', ' ');
    const orNone = (lines) => (lines.length === 0 ? ['none'] : lines);
    return [
        ['lock', [lock === null || lock.state === 'dead' ? 'free' : lockText(lock, day)]],
        [
            'journal',
            unfinished === null
                ? ['no run waits for recovery']
                : [
                    `${unfinished.mode} ${unfinished.run} of ${day(unfinished.at)}, ${unfinished.committed ? 'in place' : 'not in place'}`,
                    ...(unfinished.left.length === 0
                        ? []
                        : [`${unfinished.committed ? 'left to do' : 'to be undone'}: ${unfinished.left.join(', ')}`]),
                ],
        ],
        [
            'last update',
            lastUpdate === null
                ? ['none to roll back']
                : [
                    `${lastUpdate.from ?? 'unknown'} → ${lastUpdate.to ?? 'unknown'}, ${day(lastUpdate.at)}`,
                    `rollback brings back ${lastUpdate.backup}`,
                ],
        ],
        ...(avoided === null
            ? []
            : [
                [
                    'avoided',
                    [`${avoided.label} (${avoided.commit.slice(0, 12)}) since ${day(avoided.at)}: ${avoided.why}`],
                ],
            ]),
        [
            'safety',
            orNone(safety.map(({ name, createdAt, bytes, reason, kept }) => `${name}, ${size(bytes)}, ${reason}, ${age(createdAt)} old; kept ${kept}`)),
        ],
        ['aside', orNone(aside.map(({ path, bytes }) => `${path}, ${size(bytes)}`))],
        ['staging', orNone(staging.map(({ path, bytes }) => `${path}, ${size(bytes)}`))],
        ['images', orNone(images)],
        [
            'throwaways',
            orNone(throwaways.map(({ name, containers, volumes, directory, bytes }) => [
                name,
                ...(containers.length === 0 ? [] : [`containers ${containers.join(' ')}`]),
                ...(volumes.length === 0 ? [] : [`volumes ${volumes.join(' ')}`]),
                ...(directory === null ? [] : [`${directory}, ${size(bytes)}`]),
            ].join('; '))),
        ],
        [
            'backups',
            stores.map(({ store, backups, newest, problem }) => {
                if (problem !== undefined)
                    return `${store}: ${problem}`;
                if (newest === null)
                    return `${store}: none`;
                const { name, createdAt, bytes, proven } = newest;
                return `${store}: ${backups}, newest ${name}, ${size(bytes)}, ${age(createdAt)} old; proven: ${provenText(proven)}`;
            }),
        ],
    ];
}
function lockText({ mode, since, pid, host, runUrl, state }, day) {
    const run = runUrl === undefined ? '' : `, ${runUrl}`;
    const guess = state === 'elsewhere' ? ', in another container, or over' : '';
    return `held by ${mode}, process ${pid} on ${host}, since ${day(since)}${run}${guess}`;
}

;// CONCATENATED MODULE: ./src/report/texts.ts





/** The last words on a terminal, plain text with a line end. The report must have been passed through the redactor. */
function terminalSummary(report) {
    const { backup, update, restore, backups, restoreInstructions: how } = report;
    const lines = ['', headline(report)];
    const row = (name, value) => {
        if (value !== undefined && value !== '')
            lines.push(`  ${name.padEnd(11)} ${value.replaceAll('\n', `\n${' '.repeat(14)}`)}`);
    };
    if (backups !== undefined && backups.length > 0)
        lines.push(...listing(backups));
    for (const [name, lines] of report.status === undefined ? [] : statusRows(report.status, report.startedAt)) {
        lines.forEach((line, at) => row(at === 0 ? name : '', line));
    }
    report.plan?.forEach((line, at) => row(at === 0 ? 'would' : '', line));
    report.rehearsal?.seen.forEach((line, at) => row(at === 0 ? 'rehearsed' : '', line));
    report.verify?.proven.forEach((line, at) => row(at === 0 ? 'proven' : '', line));
    row('services', update?.changedServices.join(', '));
    row('parts', restore?.parts.join(', '));
    row('into', restore?.to);
    row('before', restore?.safetyBackup === undefined ? undefined : `${restore.safetyBackup}, kept on the host`);
    row('backup', backup === undefined ? undefined : `${backup.name}, ${sizeText(backup.bytes, backup.rawBytes)}`);
    for (const { name, kind, method, bytes, rawBytes, seconds, consistency } of backup?.parts ?? []) {
        const what = kind === method ? kind : `${kind}, ${method}`;
        row('', `${name} (${what}, ${consistency}): ${sizeText(bytes, rawBytes)} in ${(0,units/* formatSeconds */.Xo)(seconds)}`);
    }
    for (const { name, url } of backup?.stores ?? [])
        row('stored in', url === undefined ? name : `${name} ${url}`);
    row('downtime', downtimeText(report));
    row('took', report.mode === 'list' || report.mode === 'status' ? undefined : (0,units/* formatSeconds */.Xo)(report.seconds));
    row('restore by', how?.command ?? how?.file);
    for (const warning of report.warnings)
        row('warning', warning);
    for (const { service, state, text } of report.lastWords ?? []) {
        lines.push('', `Last words of ${service}, ${state}:`, ...text
            .trimEnd()
            .split('\n')
            .slice(-40)
            .map((line) => `  | ${line}`));
    }
    if (report.error !== undefined)
        lines.push('', (0,errors_text/* renderErrors */.a$)([report.error, ...(report.otherErrors ?? [])]));
    return `${(0,plain_text/* plainText */.w)(lines.join('\n'))}\n`;
}
function listing(backups) {
    const rows = backups.map(({ name, bytes, version, store, parts = [], encrypted, expiresAt, problem, reason, proven }) => [
        name,
        bytes === undefined ? '' : (0,units/* formatBytes */.z3)(bytes),
        version ?? '',
        `${parts.join(', ')}${encrypted === true ? ' (encrypted)' : ''}`,
        problem ?? reason ?? '',
        `proven: ${provenText(proven)}`,
        `${store}${expiresAt === undefined ? '' : `, until ${expiresAt.slice(0, 10)}`}`,
    ]);
    const widths = [0, 1, 2, 3, 4, 5].map((at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
    return rows.map((row) => `  ${row.map((text, at) => text.padEnd(widths[at] ?? 0)).join('  ')}`.trimEnd());
}
/** For `--json`: the report itself, one document with a line end. */
function jsonSummary(report) {
    return `${JSON.stringify(report, null, 2)}\n`;
}


/***/ }),

/***/ 17885:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   Xo: () => (/* binding */ formatSeconds),
/* harmony export */   nV: () => (/* binding */ formatAge),
/* harmony export */   z3: () => (/* binding */ formatBytes)
/* harmony export */ });
const sizes = ['B', 'kB', 'MB', 'GB', 'TB'];
/** `812 B`, `4.2 MB`, `835 MB`, `1.3 GB`: powers of 1000, as GitHub counts storage. */
function formatBytes(bytes) {
    let value = bytes;
    let unit = 0;
    // 999,950 B would be shown as 1000 kB.
    while (value >= 999.5 && unit < sizes.length - 1) {
        value /= 1000;
        unit++;
    }
    const digits = unit > 0 && value < 99.95 ? 1 : 0;
    return `${value.toFixed(digits)} ${sizes[unit]}`;
}
/** `12 min`, `5 h`, `3 days`: how old something is. */
function formatAge(ms) {
    const minutes = Math.max(0, Math.floor(ms / 60_000));
    if (minutes < 120)
        return `${minutes} min`;
    if (minutes < 48 * 60)
        return `${Math.floor(minutes / 60)} h`;
    return `${Math.floor(minutes / (24 * 60))} days`;
}
/** `0.4 s`, `42 s`, `3 min 5 s`, `1 h 2 min`. */
function formatSeconds(seconds) {
    if (seconds < 9.95)
        return `${seconds.toFixed(1)} s`;
    const whole = Math.round(seconds);
    if (whole < 60)
        return `${whole} s`;
    const minutes = Math.floor(whole / 60);
    if (minutes < 60)
        return whole % 60 === 0 ? `${minutes} min` : `${minutes} min ${whole % 60} s`;
    return minutes % 60 === 0 ? `${minutes / 60} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}


/***/ }),

/***/ 13899:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {


// EXPORTS
__webpack_require__.d(__webpack_exports__, {
  w: () => (/* binding */ runCaretaker)
});

// UNUSED EXPORTS: afterRun

// EXTERNAL MODULE: external "node:crypto"
var external_node_crypto_ = __webpack_require__(77598);
// EXTERNAL MODULE: external "node:fs"
var external_node_fs_ = __webpack_require__(73024);
// EXTERNAL MODULE: external "node:fs/promises"
var promises_ = __webpack_require__(51455);
// EXTERNAL MODULE: external "node:path"
var external_node_path_ = __webpack_require__(76760);
var external_node_path_default = /*#__PURE__*/__webpack_require__.n(external_node_path_);
// EXTERNAL MODULE: ./src/errors.ts
var errors = __webpack_require__(83916);
;// CONCATENATED MODULE: ./src/archive/names.ts

/**
 * Names of backups and of their files. They are file names, artifact names (which may not hold `" : < > | * ? \ /`) and
 * parts of S3 keys at once, so they hold lower-case letters, digits, `_`, `-`, the stamp's `T` and `Z`, and dots between.
 */
const NAME = /^([a-z0-9][a-z0-9_-]{0,62})-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;
const PART_NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const SUFFIX = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/;
const MANIFEST_SUFFIX = '.manifest.json';
const INSTRUCTIONS_SUFFIX = '.RESTORE.md';
/** Lower-case letters, digits, `_` and `-`, beginning with a letter or digit, at most 63 characters; `project` where nothing is left. */
function sanitizeProject(project) {
    const plain = project
        .toLowerCase()
        .replaceAll(/[^a-z0-9_-]+/g, '-')
        .replace(/^[-_]+/, '')
        .slice(0, 63)
        .replace(/[-_]+$/, '');
    return plain === '' ? 'project' : plain;
}
/** `shop-20261121T220000Z`. */
function backupName(project, at) {
    const stamp = at.toISOString().replaceAll(/[-:]|\.\d+/g, '');
    return `${sanitizeProject(project)}-${stamp}`;
}
/** The project and the instant, null for what is no backup's name. */
function parseBackupName(name) {
    const match = NAME.exec(name);
    if (match === null)
        return null;
    const [, project, year, month, day, hour, minute, second] = match;
    const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
    // 20260231 is well-formed and no day.
    if (Number.isNaN(at.getTime()) || !at.toISOString().startsWith(`${year}-${month}-${day}T${hour}`))
        return null;
    return { project: project, at };
}
function isPartName(name) {
    return PART_NAME.test(name);
}
/** `shop-20261121T220000Z.database.tar.zst`; `suffix` as a source's stream gives it (`tar`, `globals.sql`). */
function partFile(backup, part, suffix) {
    if (!isPartName(part) || !SUFFIX.test(suffix))
        throw new RangeError(`not a part's file name: ${part}.${suffix}`);
    return `${backup}.${part}.${suffix}.zst`;
}
function names_manifestFile(backup) {
    return backup + MANIFEST_SUFFIX;
}
function instructionsFile(backup) {
    return backup + INSTRUCTIONS_SUFFIX;
}
/** True for a file name that a part of this name in this backup may have: a plain base name, never a path. */
function isPartFileName(file, backup, part) {
    const start = `${backup}.${part}.`;
    return file.startsWith(start) && file.endsWith('.zst') && SUFFIX.test(file.slice(start.length, -'.zst'.length));
}
/** The backup that a manifest's file name belongs to, null for any other name. */
function backupOfManifest(file) {
    if (!file.endsWith(MANIFEST_SUFFIX))
        return null;
    const name = file.slice(0, -MANIFEST_SUFFIX.length);
    return parseBackupName(name) === null ? null : name;
}
/**
 * The suffix of a database's dump: `app.dump`; where the name has characters that a file's must not have, what is
 * left of it and a piece of its digest, so that two databases never share one.
 */
function dumpSuffix(database) {
    if (/^[a-z0-9_-]{1,40}$/.test(database))
        return `${database}.dump`;
    const plain = database
        .toLowerCase()
        .replaceAll(/[^a-z0-9_-]+/g, '_')
        .slice(0, 40);
    return `${plain}-${(0,external_node_crypto_.createHash)('sha256').update(database).digest('hex').slice(0, 8)}.dump`;
}

;// CONCATENATED MODULE: ./src/archive/instructions.ts

/**
 * RESTORE.md: the standard commands that restore exactly these files by hand, where this program, GitHub, or the host is gone.
 * Every command stands in a fenced `sh` block; the blocks up to the parts, those of some parts, and those behind them, run in order
 * by one `bash -e` in the directory that holds the files, restore these parts (that is how they are tested).
 */
function renderInstructions(manifest) {
    return [
        ...introduction(manifest),
        ...settings(manifest),
        ...verification(manifest),
        ...stopping(manifest),
        ...manifest.parts.flatMap((part) => partSection(part, manifest)),
        ...starting(manifest),
        ...wayBack(manifest),
    ].join('\n');
}
function introduction(manifest) {
    const { name, project, createdAt, host, projectDirectory, version } = manifest;
    const commit = version.tag ?? version.describe ?? version.commit;
    return [
        `# How to restore ${name} by hand`,
        '',
        `A backup of the project \`${project}\`, taken on ${createdAt} in \`${projectDirectory}\` on host \`${host}\`${commit === null ? '' : `, version \`${commit}\``}.`,
        '',
        '| part | what | files | bytes |',
        '|---|---|---|---:|',
        ...manifest.parts.map((part) => `| \`${part.name}\` | ${part.kind}, ${part.method}, ${cell(part.origin.path)} | ${part.files
            .map(({ file }) => `\`${file}\``)
            .join('<br>')} | ${part.files.reduce((sum, { bytes }) => sum + bytes, 0)} |`),
        '',
        'What follows needs `bash`, `tar` and `zstd` and, for an application in containers, its engine. Nothing of Compose Caretaker is needed.',
        'Run it all in one shell, in the directory that holds these files, from top to bottom; leave out the parts that you do not want. The old data',
        'are never deleted: they are moved aside, and the last section brings them back.',
        '',
    ];
}
function settings(manifest) {
    const { engine } = manifest;
    const lines = [
        'set -euo pipefail',
        `PROJECT_DIRECTORY=${quote(manifest.projectDirectory)}`,
        `PROJECT_NAME=${quote(manifest.project)}`,
    ];
    if (engine !== null) {
        lines.push(`ENGINE=${quote(engine.runtime)}`, 'compose() { (cd "$PROJECT_DIRECTORY" && ' + composeCommand(engine) + ' "$@"); }');
    }
    if (engine?.runtime === 'podman' && engine.rootless) {
        lines.push('# The owners in the archives are those that the containers see: only this shows them outside.', 'as_root() { podman unshare "$@"; }');
    }
    else if (manifest.ownership === 'direct' && engine === null) {
        lines.push('# As the user that the application runs as, or as root.', 'as_root() { "$@"; }');
    }
    else {
        lines.push('as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }');
    }
    lines.push('ASIDE=".before-restore-$(date +%Y%m%d%H%M%S)"');
    return [
        '## 1. Where things are',
        '',
        'Change these if the project lies elsewhere now. On a new machine first put the project there: its code and compose file' +
            `${manifest.parts.some(({ kind }) => kind === 'project-files') ? ', and the configuration from the part of kind `project-files`' : ''}.`,
        ...(engine?.runtime === 'podman' && engine.rootless ? ['Be the user that runs the containers, not root.'] : []),
        '',
        ...block(lines),
        '',
    ];
}
function composeCommand(engine) {
    const program = engine.dialect.startsWith('podman-compose') ? 'podman-compose' : 'docker compose';
    const files = (engine.composeFiles ?? []).map((file) => ` -f ${quote(file)}`).join('');
    return `${program} -p "$PROJECT_NAME"${files}`;
}
function verification(manifest) {
    const files = manifest.parts.flatMap((part) => part.files);
    return [
        '## 2. Are the files whole?',
        '',
        'Every line must say `OK`. If one does not, fetch the file again, or use another backup.',
        '',
        ...block([
            "sha256sum -c - <<'END'",
            ...files.map(({ file, sha256 }) => `${sha256}  ${file}`),
            'END',
            ...files.map(({ file }) => `zstd -tq ${file}`),
        ]),
        '',
    ];
}
function stopping({ engine }) {
    if (engine === null) {
        return [
            '## 3. Stop the application',
            '',
            'Stop it the way it is run here, for instance with `systemctl stop`. It must not write while its data are exchanged.',
            '',
        ];
    }
    return [
        '## 3. Stop the application',
        '',
        'It must not write while its data are exchanged. (On a new machine nothing runs yet, and that is no error.)',
        '',
        ...block(['compose stop || true']),
        '',
    ];
}
function starting({ engine }) {
    if (engine === null)
        return ['## Start and check', '', 'Start the application, and look whether it shows the data that you expect.', ''];
    return [
        '## Start and check',
        '',
        ...block(['compose up -d', 'compose ps']),
        '',
        'Look into the log of a service that does not stay up (`compose logs --tail 50 SERVICE`), log in, and look whether the data are those that you expect.',
        '',
    ];
}
function wayBack({ engine }) {
    return [
        '## If it was the wrong backup',
        '',
        `The data from before lie beside the restored ones, under the same name with \`.before-restore-…\` at the end. ${engine === null ? 'Stop the application' : 'Run `compose stop`'}, move the restored ones away and the old ones back by \`as_root mv\`, and start again. When all is well, remove them by \`as_root rm -r\`.`,
        '',
    ];
}
function partSection(part, manifest) {
    const title = [`## Part \`${part.name}\``, ''];
    if (part.kind === 'project-files')
        return [...title, ...projectFiles(part)];
    const lines = [...whereIs(part, manifest)];
    switch (part.method) {
        case 'physical':
            return [
                ...title,
                `The data directory of PostgreSQL ${part.postgres?.version ?? ''}, as \`pg_basebackup\` took it. The image must be of the same major version, **${part.postgres?.major ?? ''}**.`,
                '',
                ...block([...lines, ...tree(part, true)]),
                '',
            ];
        case 'dump':
            if (!part.files.some(({ file }) => file.endsWith('.globals.sql.zst'))) {
                return [
                    ...title,
                    `Single databases of a PostgreSQL ${part.postgres?.version ?? ''} server, as they were before a restore exchanged them. They go back into the server as it is; the`,
                    'databases that they replace stay in it as `NAME.before-restore-…`.',
                    '',
                    ...block([...dump(part, manifest)]),
                    '',
                ];
            }
            return [
                ...title,
                `Dumps of PostgreSQL ${part.postgres?.version ?? ''}: the image must be of this major version or a newer one. The server makes an empty`,
                'cluster, then the roles and databases are loaded. `psql` may say that a role already exists: the image has made it, and that is no trouble.',
                '',
                ...block([...lines, ...dump(part, manifest)]),
                '',
            ];
        case 'sqlite':
            return [
                ...title,
                'One SQLite database. What lies beside the old one (`-wal`, `-shm`, `-journal`) belongs to it and would destroy the new one.',
                '',
                ...block([...lines, ...sqlite(part)]),
                '',
            ];
        case 'files':
            return [
                ...title,
                ...(part.kind === 'postgres'
                    ? [
                        `The data directory of a stopped PostgreSQL ${part.postgres?.version ?? ''} server; the image must be of the same major version.`,
                    ]
                    : part.kind === 'file'
                        ? ['One file.']
                        : ['A tree of files.']),
                '',
                ...block([...lines, ...(part.kind === 'file' ? singleFile(part) : tree(part, false))]),
                '',
            ];
    }
}
/** Sets LIVE: by the volume's name, by the place in the project, or by the absolute path. */
function whereIs(part, manifest) {
    const { volume, path, relativePath } = part.origin;
    if (volume !== undefined && manifest.engine !== null) {
        const inside = inVolume(path, volume);
        const key = volume.startsWith(`${manifest.project}_`) ? volume.slice(manifest.project.length + 1) : volume;
        return [
            `VOLUME=${quote(volume)}`,
            'if ! "$ENGINE" volume inspect "$VOLUME" >/dev/null 2>&1; then',
            `  "$ENGINE" volume create --label com.docker.compose.project="$PROJECT_NAME" --label com.docker.compose.volume=${quote(key)} "$VOLUME"`,
            'fi',
            `LIVE="$("$ENGINE" volume inspect --format '{{.Mountpoint}}' "$VOLUME")"${inside === '' ? '' : `/${quote(inside)}`}`,
        ];
    }
    if (relativePath !== undefined && relativePath !== '.')
        return [`LIVE="$PROJECT_DIRECTORY"/${quote(relativePath)}`];
    if (relativePath === '.')
        return ['LIVE="$PROJECT_DIRECTORY"'];
    return [`LIVE=${quote(path)}`];
}
function inVolume(path, volume) {
    const mark = `/${volume}/_data/`;
    const at = path.indexOf(mark);
    return at === -1 ? '' : path.slice(at + mark.length);
}
const UNTAR = "as_root tar --extract --file - --numeric-owner --same-owner --preserve-permissions --acls --xattrs --xattrs-include='*' --directory";
/** Unpack beside, then exchange: a disk that is full in the middle leaves the old data where they are. */
function tree(part, physical) {
    const carried = (part.origin.exclude ?? []).map((exclude) => exclude.replace(/(?:\/\*\*?)+$/, '').replace(/^\.\//, ''));
    return [
        'as_root mkdir "$LIVE.fresh"',
        ...part.files.map((file) => /\.removed\d+\.zst$/.test(file.file)
            ? `zstd -dcq ${file.file} | as_root sh -c 'cd "$1" && xargs -0 -r rm -rf --' sh "$LIVE.fresh"`
            : `zstd -dcq ${file.file} | ${UNTAR} "$LIVE.fresh"`),
        ...(physical
            ? [
                '# The archive has no entry for the directory itself: its owner is that of the directories in it.',
                'as_root chown --reference="$LIVE.fresh/base" "$LIVE.fresh"',
                'as_root chmod 700 "$LIVE.fresh"',
            ]
            : []),
        ...(part.kind === 'postgres' ? ['as_root rm -f "$LIVE.fresh/postmaster.pid"'] : []),
        'if as_root test -e "$LIVE"; then as_root mv "$LIVE" "$LIVE$ASIDE"; fi',
        'as_root mv "$LIVE.fresh" "$LIVE"',
        ...carried.flatMap((path) => path === ''
            ? []
            : path.includes('*')
                ? [`# Not in the backup, and left aside: what matches ${comment(path)}`]
                : [
                    '# Not in the backup: what is there now stays.',
                    `if as_root test -e "$LIVE$ASIDE"/${quote(path)}; then`,
                    `  as_root rm -rf "$LIVE"/${quote(path)}`,
                    `  as_root mv "$LIVE$ASIDE"/${quote(path)} "$LIVE"/${quote(path)}`,
                    'fi',
                ]),
    ];
}
function singleFile(part) {
    return [
        'as_root mkdir "$LIVE.fresh"',
        ...part.files.map((file) => `zstd -dcq ${file.file} | ${UNTAR} "$LIVE.fresh"`),
        'if as_root test -e "$LIVE"; then as_root mv "$LIVE" "$LIVE$ASIDE"; fi',
        '# The one file in the archive, whatever it was called there.',
        'as_root find "$LIVE.fresh" -mindepth 1 -maxdepth 1 -exec mv {} "$LIVE" \\;',
        'as_root rmdir "$LIVE.fresh"',
    ];
}
function sqlite(part) {
    return [
        'as_root mkdir "$LIVE.fresh"',
        ...part.files.map((file) => `zstd -dcq ${file.file} | ${UNTAR} "$LIVE.fresh"`),
        'for end in "" -wal -shm -journal; do',
        '  if as_root test -e "$LIVE$end"; then as_root mv "$LIVE$end" "$LIVE$ASIDE$end"; fi',
        'done',
        `as_root mv "$LIVE.fresh"/${quote(part.origin.path.slice(part.origin.path.lastIndexOf('/') + 1))} "$LIVE"`,
        'as_root rmdir "$LIVE.fresh"',
    ];
}
function dump(part, { engine }) {
    const user = quote(part.postgres?.user ?? 'postgres');
    const file = (suffix) => part.files.find((one) => one.file.endsWith(`.${part.name}.${suffix}.zst`));
    const service = part.origin.service ?? part.name;
    const globals = file('globals.sql');
    if (globals === undefined)
        return databases(part, engine);
    const inServer = engine === null ? '' : '"$ENGINE" exec -i "$SERVER" ';
    return [
        'if as_root test -e "$LIVE"; then',
        '  as_root mkdir "$LIVE.fresh"',
        '  as_root chown --reference="$LIVE" "$LIVE.fresh"',
        '  as_root chmod --reference="$LIVE" "$LIVE.fresh"',
        '  as_root mv "$LIVE" "$LIVE$ASIDE"',
        '  as_root mv "$LIVE.fresh" "$LIVE"',
        'fi',
        ...(engine === null ? ['# Start the database server alone now, on an empty cluster.'] : startServer(service)),
        `zstd -dcq ${globals.file} | ${inServer}psql -X -q -U ${user} -d template1 -f -`,
        ...(part.postgres?.databases ?? []).flatMap((database) => {
            const one = file(dumpSuffix(database));
            return one === undefined
                ? []
                : [
                    `# Database ${comment(database)}`,
                    `zstd -dcq ${one.file} | ${inServer}pg_restore -U ${user} --exit-on-error --clean --if-exists --create -d template1`,
                ];
        }),
    ];
}
function startServer(service) {
    return [
        `compose up -d ${quote(service)}`,
        `SERVER="$("$ENGINE" ps -q --filter label=com.docker.compose.project="$PROJECT_NAME" --filter label=com.docker.compose.service=${quote(service)})"`,
        '# The server of the first set-up listens on no port: wait for the one that does.',
        `for _ in $(seq 180); do if "$ENGINE" exec "$SERVER" pg_isready -q -h 127.0.0.1; then break; fi; sleep 1; done`,
    ];
}
/** Single databases go back into the server that has the others: it is not made anew. */
function databases(part, engine) {
    const user = quote(part.postgres?.user ?? 'postgres');
    const inServer = engine === null ? '' : '"$ENGINE" exec -i "$SERVER" ';
    const identifier = (name) => `"${name.replaceAll('"', '""')}"`;
    return [
        ...(engine === null ? ['# Start the database server alone now.'] : startServer(part.origin.service ?? part.name)),
        `sql() { ${inServer}psql -X -q -At -v ON_ERROR_STOP=1 -U ${user} -d template1 -c "$1" </dev/null; }`,
        ...(part.postgres?.databases ?? []).flatMap((database) => {
            const one = part.files.find(({ file }) => file.endsWith(`.${part.name}.${dumpSuffix(database)}.zst`));
            if (one === undefined)
                return [];
            const name = identifier(database);
            const isThere = `select 1 from pg_database where datname = '${database.replaceAll("'", "''")}'`;
            return [
                `# Database ${comment(database)}: the one that is there now stays under another name.`,
                `if [ -n "$(sql ${quote(isThere)})" ]; then`,
                `  sql ${quote(`ALTER DATABASE ${name} RENAME TO ${name.slice(0, -1)}`)}"$ASIDE"'"'`,
                'fi',
                '# It lay aside under another name when it was dumped, and comes back under that first.',
                `DUMPED="$({ zstd -dcq ${one.file} 2>/dev/null || true; } | { ${inServer}pg_restore -l; cat >/dev/null; } | sed -n 's/^; *dbname: //p')"`,
                `zstd -dcq ${one.file} | ${inServer}pg_restore -U ${user} --exit-on-error --create -d template1`,
                `sql 'ALTER DATABASE "'"$DUMPED"${quote(`" RENAME TO ${name}`)}`,
            ];
        }),
    ];
}
function projectFiles(part) {
    return [
        'The compose files and env files as they were, secrets included. They are unpacked beside the project, not over it: compare, and copy what you need.',
        '',
        ...block([
            'mkdir -p "$PROJECT_DIRECTORY/.restored-configuration"',
            'chmod 700 "$PROJECT_DIRECTORY/.restored-configuration"',
            ...part.files.map((file) => `zstd -dcq ${file.file} | tar --extract --file - --no-same-owner --directory "$PROJECT_DIRECTORY/.restored-configuration"`),
            'ls -lA "$PROJECT_DIRECTORY/.restored-configuration"',
        ]),
        '',
        'Files from outside the project directory lie in `.caretaker-outside/` below it, under their absolute paths.',
        '',
    ];
}
/** A fence longer than any row of backticks in the text: a path must not end the block. */
function block(lines) {
    const longest = Math.max(2, ...[...lines.join('\n').matchAll(/`+/g)].map(([row]) => row.length));
    const fence = '`'.repeat(longest + 1);
    return [`${fence}sh`, ...lines, fence];
}
/** For bash, whatever the text holds; what needs no quotes has none, for the reader's sake. */
function quote(text) {
    return /^[A-Za-z0-9_./:@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
/** Text within a comment of a shell block: it must not end the line. */
function comment(text) {
    return JSON.stringify(text);
}
function cell(text) {
    return `\`${text
        .replaceAll('`', "'")
        .replaceAll('|', '\\|')
        .replaceAll(/[\r\n]/g, ' ')}\``;
}

;// CONCATENATED MODULE: ./src/archive/manifest.ts



/** The backup format, version 1: see docs/backup-format.md and archive/manifest.schema.json. */
const SCHEMA = 1;
/** Tables of one part whose rows are noted: more would make a manifest that is too large to be read. */
const MAX_COUNTED_TABLES = 5000;
/** Far above any real manifest (a part costs some 600 bytes, and 50 for each table of a database); what comes from outside is not read without an end. */
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
const KINDS = ['postgres', 'sqlite', 'volume', 'directory', 'file', 'project-files'];
const METHODS = {
    postgres: ['physical', 'dump', 'files'],
    sqlite: ['sqlite'],
    volume: ['files'],
    directory: ['files'],
    file: ['files'],
    'project-files': ['files'],
};
/** The text of a manifest as it is stored: indented JSON with a line's end. */
function formatManifest(manifest) {
    return JSON.stringify(manifest, null, 2) + '\n';
}
/** The manifest with its own digest, as the last of its fields. */
function sealManifest(manifest) {
    return { ...manifest, digest: digestOf(manifest) };
}
function digestOf(manifest) {
    return (0,external_node_crypto_.createHash)('sha256')
        .update(JSON.stringify({ ...manifest, digest: '' }))
        .digest('hex');
}
/**
 * The same as `parseManifest` for what comes from a store, where a disk or a network may have changed it: `manifest-damaged` where it is another one than was written. It says nothing of
 * who wrote it.
 */
function openManifest(json) {
    const value = typeof json === 'string' ? parseJson(json) : json;
    const manifest = parseManifest(value);
    if (digestOf(value) !== manifest.digest) {
        throw new errors/* CaretakerError */.xT('manifest-damaged', `failed to read the manifest of ${manifest.name}: its digest is another`, {
            hint: 'It is not what was written. Take another backup, or follow RESTORE.md with the parts whose digests fit.',
        });
    }
    return manifest;
}
/**
 * A manifest out of text (or the value that JSON.parse made of it) that anybody may have written. What this returns is safe to act on: names of files are plain base names that
 * belong to this backup, paths are absolute (but not trusted: a restore finds out for itself where data lives), numbers are
 * numbers. Fields that are not known are ignored, so that a later release can add some.
 *
 * Throws `manifest-invalid`, naming the field, and `manifest-newer` for a schema that this program does not know.
 */
function parseManifest(json) {
    const root = new Fields(typeof json === 'string' ? parseJson(json) : json, '');
    const schema = root.count('schema');
    if (schema > SCHEMA) {
        throw new errors/* CaretakerError */.xT('manifest-newer', `failed to read the manifest: its schema is ${schema}, this release knows up to ${SCHEMA}`, {
            hint: 'Use a newer release of Compose Caretaker, or follow the RESTORE.md beside the manifest, which needs no release at all.',
        });
    }
    if (schema !== SCHEMA)
        throw root.wrong('schema', `must be ${SCHEMA}`);
    const name = root.text('name');
    const parsed = parseBackupName(name);
    if (parsed === null)
        throw root.wrong('name', 'must be a backup name such as shop-20261121T220000Z');
    const parts = root.list('parts').map((item, index) => parsePart(new Fields(item, `parts[${index}]`), name));
    refuseTwice(parts.map((part) => part.name), 'parts', 'names a part twice');
    refuseTwice(parts.flatMap((part) => part.files.map((file) => file.file)), 'parts', 'names a file twice');
    const engine = root.object('engine', true);
    const instructions = root.object('instructions');
    if (instructions.text('file') !== instructionsFile(name)) {
        throw instructions.wrong('file', `must be ${instructionsFile(name)}`);
    }
    const version = root.object('version');
    if (root.raw('encryption') !== null)
        throw root.wrong('encryption', 'must be null in schema 1');
    return {
        schema,
        name,
        createdAt: root.instant('createdAt'),
        reason: root.oneOf('reason', ['backup', 'before-update', 'before-restore', 'before-rollback']),
        project: root.text('project'),
        projectDirectory: root.absolutePath('projectDirectory'),
        host: root.text('host', true),
        caretaker: root.text('caretaker'),
        version: {
            commit: version.textOrNull('commit'),
            tag: version.textOrNull('tag'),
            describe: version.textOrNull('describe'),
        },
        engine: engine === null
            ? null
            : {
                runtime: engine.text('runtime'),
                version: engine.text('version', true),
                dialect: engine.text('dialect'),
                rootless: engine.flag('rootless'),
                ...engine.optional('composeFiles', () => engine.texts('composeFiles')),
            },
        platform: root.text('platform'),
        images: root.list('images').map((item, index) => {
            const image = new Fields(item, `images[${index}]`);
            return {
                service: image.text('service'),
                name: image.text('name', true),
                id: image.text('id'),
                digests: image.texts('digests'),
            };
        }),
        ownership: root.oneOf('ownership', ['direct', 'podman-unshare', 'helper-container']),
        encryption: null,
        parts,
        left: root.list('left').map((item, index) => {
            const left = new Fields(item, `left[${index}]`);
            return { what: left.text('what'), why: left.text('why') };
        }),
        instructions: {
            file: instructions.text('file'),
            bytes: instructions.count('bytes'),
            sha256: instructions.digest('sha256'),
        },
        digest: root.digest('digest'),
    };
}
function parseJson(json) {
    if (json.length > MAX_MANIFEST_BYTES)
        throw invalid('the manifest', 'is larger than any may be');
    try {
        return JSON.parse(json);
    }
    catch (error) {
        throw invalid('the manifest', `is not JSON (${(0,errors/* messageOf */.bD)(error)})`, error);
    }
}
function parsePart(part, backup) {
    const name = part.text('name');
    if (!isPartName(name))
        throw part.wrong('name', 'must be lower-case letters, digits and dashes');
    const kind = part.oneOf('kind', KINDS);
    const method = part.oneOf('method', METHODS[kind]);
    const files = part.list('files').map((item, index) => {
        const file = new Fields(item, `${part.path}.files[${index}]`);
        // A name that is anything but a base name of this backup could make a restore read or fetch something else.
        if (!isPartFileName(file.text('file'), backup, name)) {
            throw file.wrong('file', `must be a plain file name that begins with ${backup}.${name}. and ends with .zst`);
        }
        return {
            file: file.text('file'),
            bytes: file.count('bytes'),
            rawBytes: file.count('rawBytes'),
            sha256: file.digest('sha256'),
        };
    });
    if (files.length === 0)
        throw part.wrong('files', 'must not be empty');
    const origin = part.object('origin');
    const postgres = part.object('postgres', kind !== 'postgres' || method === 'files');
    const sqlite = part.object('sqlite', true);
    return {
        name,
        kind,
        method,
        files,
        consistency: part.oneOf('consistency', ['online', 'quiesced', 'stopped']),
        origin: {
            ...origin.optional('service', () => origin.text('service')),
            ...origin.optional('volume', () => origin.text('volume')),
            path: origin.absolutePath('path'),
            ...origin.optional('relativePath', () => origin.relativePath('relativePath')),
            ...origin.optional('containerPath', () => origin.absolutePath('containerPath')),
            ...origin.optional('exclude', () => origin.texts('exclude')),
        },
        seconds: part.number('seconds'),
        ...(postgres === null
            ? {}
            : {
                postgres: {
                    version: postgres.text('version'),
                    major: postgres.count('major'),
                    databases: postgres.texts('databases'),
                    user: postgres.text('user'),
                    ...postgres.optional('locale', () => postgres.text('locale')),
                    ...postgres.optional('rows', () => {
                        const rows = postgres.object('rows');
                        return rows.map((database) => rows.counts(database));
                    }),
                },
            }),
        ...(sqlite === null
            ? {}
            : {
                sqlite: {
                    pageSize: sqlite.count('pageSize'),
                    pages: sqlite.count('pages'),
                    ...sqlite.optional('rows', () => sqlite.counts('rows')),
                },
            }),
    };
}
function refuseTwice(names, field, why) {
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined)
        throw invalid(field, `${why}: ${twice}`);
}
/** Reads the fields of one object of JSON, and names the one that is wrong by its path. */
class Fields {
    path;
    fields;
    constructor(value, path) {
        this.path = path;
        if (typeof value !== 'object' || value === null || Array.isArray(value)) {
            throw invalid(path === '' ? 'the manifest' : path, 'must be an object');
        }
        this.fields = value;
    }
    wrong(field, why) {
        return invalid(this.path === '' ? field : `${this.path}.${field}`, why);
    }
    /** Undefined for a field that is not there: nothing is inherited, whatever the field is called. */
    raw(field) {
        return Object.hasOwn(this.fields, field) ? this.fields[field] : undefined;
    }
    optional(field, read) {
        return this.raw(field) === undefined ? {} : { [field]: read() };
    }
    text(field, mayBeEmpty = false) {
        const value = this.raw(field);
        if (typeof value !== 'string' || (!mayBeEmpty && value === ''))
            throw this.wrong(field, 'must be a text');
        if (value.includes('\0'))
            throw this.wrong(field, 'must not hold a NUL character');
        return value;
    }
    textOrNull(field) {
        return this.raw(field) === null ? null : this.text(field);
    }
    texts(field) {
        return this.list(field).map((item, index) => {
            if (typeof item !== 'string' || item === '' || item.includes('\0'))
                throw this.wrong(`${field}[${index}]`, 'must be a text');
            return item;
        });
    }
    flag(field) {
        const value = this.raw(field);
        if (typeof value !== 'boolean')
            throw this.wrong(field, 'must be true or false');
        return value;
    }
    number(field) {
        const value = this.raw(field);
        if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
            throw this.wrong(field, 'must be a number, 0 or more');
        return value;
    }
    count(field) {
        const value = this.raw(field);
        if (!Number.isSafeInteger(value) || value < 0)
            throw this.wrong(field, 'must be a whole number, 0 or more');
        return value;
    }
    /** An object whose fields' names are data: nothing is inherited, whatever they are called. */
    map(read) {
        return Object.fromEntries(Object.keys(this.fields).map((field) => {
            if (field === '' || field.includes('\0'))
                throw this.wrong(JSON.stringify(field), 'must be a name');
            return [field, read(field)];
        }));
    }
    counts(field) {
        const counts = this.object(field);
        return counts.map((name) => counts.count(name));
    }
    digest(field) {
        const value = this.text(field);
        if (!/^[0-9a-f]{64}$/.test(value))
            throw this.wrong(field, 'must be 64 hexadecimal digits');
        return value;
    }
    instant(field) {
        const value = this.text(field);
        if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/.test(value) || Number.isNaN(Date.parse(value))) {
            throw this.wrong(field, 'must be an instant such as 2026-11-21T22:00:00Z');
        }
        return value;
    }
    absolutePath(field) {
        const value = this.text(field);
        if (!value.startsWith('/') || value.split('/').includes('..'))
            throw this.wrong(field, 'must be an absolute path without ..');
        return value;
    }
    relativePath(field) {
        const value = this.text(field);
        if (value.startsWith('/') || value.split('/').includes('..')) {
            throw this.wrong(field, 'must be a relative path without ..');
        }
        return value;
    }
    oneOf(field, values) {
        const value = this.raw(field);
        if (!values.includes(value))
            throw this.wrong(field, `must be one of ${values.join(', ')}`);
        return value;
    }
    list(field) {
        const value = this.raw(field);
        if (!Array.isArray(value))
            throw this.wrong(field, 'must be a list');
        return value;
    }
    object(field, mayLack = false) {
        const value = this.raw(field);
        if (mayLack && (value === null || value === undefined))
            return null;
        return new Fields(value, this.path === '' ? field : `${this.path}.${field}`);
    }
}
function invalid(field, why, cause) {
    return new errors/* CaretakerError */.xT('manifest-invalid', `failed to read the manifest: ${field} ${why}`, {
        hint: 'The manifest was not written by this program, or was changed. Choose another backup, or fetch this one again.',
        cause,
    });
}

// EXTERNAL MODULE: external "node:stream"
var external_node_stream_ = __webpack_require__(57075);
;// CONCATENATED MODULE: ./src/archive/tar.ts

const BLOCK = 512;
/** Names, xattrs and sparse maps fit in far less; a header that asks for more is an attack on memory. */
const MAX_HEADER_BYTES = 16 * 1024 * 1024;
/**
 * Passes a tar archive through, byte for byte, while it walks over its members: ustar, pax and GNU headers, as GNU tar
 * and pg_basebackup write them. A chunk is passed on only after all headers in it were found good, so that an unpacking
 * program behind it never sees a member that is refused.
 *
 * Throws `part-damaged` (checksum of a header, sizes, no end-of-archive, data behind it) and `part-hostile` for a member
 * that could touch anything outside the directory that it is unpacked into: an absolute name, `..`, a device, a hard
 * link to outside, anything below a symbolic link of the same archive. Links to outside are data as long as nothing goes
 * through them.
 */
async function* checkTar(source, handlers = {}) {
    const walk = new TarWalk(handlers);
    for await (const chunk of source) {
        walk.feed(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
        if (handlers.keep === undefined)
            yield chunk;
        else
            yield* walk.takeKept();
    }
    walk.end();
}
class TarWalk {
    handlers;
    links;
    partial = Buffer.alloc(0);
    /** Bytes of content and padding still to come, and how many of them are content. */
    skip = 0;
    content = 0;
    collecting;
    sparseMore = false;
    pendingSkip = 0;
    pendingContent = 0;
    pax = new Map();
    longName;
    longLink;
    zeros = 0;
    finished = false;
    /** With `keep`: what is to be passed on, and the headers whose member is still to come. */
    kept = [];
    held = [];
    keeping = true;
    constructor(handlers) {
        this.handlers = handlers;
        this.links = handlers.links ?? new Set();
    }
    feed(chunk) {
        let rest = chunk;
        while (rest.length > 0) {
            if (this.skip > 0) {
                const taken = rest.subarray(0, Math.min(this.skip, rest.length));
                rest = rest.subarray(taken.length);
                this.take(taken);
                continue;
            }
            const wanted = BLOCK - this.partial.length;
            if (rest.length < wanted) {
                this.partial = Buffer.concat([this.partial, rest]);
                return;
            }
            const block = this.partial.length === 0 ? rest.subarray(0, BLOCK) : Buffer.concat([this.partial, rest.subarray(0, wanted)]);
            this.partial = Buffer.alloc(0);
            rest = rest.subarray(wanted);
            this.block(block);
        }
    }
    end() {
        if (this.skip > 0 || this.partial.length > 0 || this.sparseMore)
            throw damaged('it ends in the middle of a member');
        if (!this.finished)
            throw damaged('its end-of-archive mark is missing');
    }
    takeKept() {
        const kept = this.kept;
        this.kept = [];
        return kept;
    }
    take(bytes) {
        this.skip -= bytes.length;
        this.pass(bytes);
        const content = bytes.subarray(0, Math.min(this.content, bytes.length));
        this.content -= content.length;
        if (this.collecting !== undefined) {
            this.collecting.pieces.push(Buffer.from(content));
            if (this.skip === 0)
                this.collected();
        }
        else if (content.length > 0) {
            this.handlers.onContent?.(content);
        }
    }
    pass(bytes) {
        if (this.handlers.keep === undefined)
            return;
        // The source may use its buffer again before the member comes.
        if (this.collecting !== undefined)
            this.held.push(Buffer.from(bytes));
        else if (this.keeping)
            this.kept.push(bytes);
    }
    collected() {
        const { flag, pieces } = this.collecting;
        this.collecting = undefined;
        const bytes = Buffer.concat(pieces);
        if (flag === 'L')
            this.longName = cString(bytes);
        else if (flag === 'K')
            this.longLink = cString(bytes);
        else if (flag === 'x')
            this.pax = paxRecords(bytes);
        else {
            for (const key of paxRecords(bytes).keys()) {
                if (['path', 'linkpath', 'size', 'GNU.sparse.name'].includes(key)) {
                    throw hostile('a header for all members', `sets "${key}"`);
                }
            }
        }
    }
    block(block) {
        if (this.sparseMore) {
            this.pass(block);
            this.sparseMore = block[504] !== 0;
            if (!this.sparseMore)
                [this.skip, this.content] = [this.pendingSkip, this.pendingContent];
            return;
        }
        if (block.every((byte) => byte === 0)) {
            this.keeping = true;
            this.pass(block);
            this.zeros += 1;
            if (this.zeros >= 2)
                this.finished = true;
            return;
        }
        if (this.zeros > 0)
            throw damaged('there is data behind its end-of-archive mark');
        const header = readHeader(block, this.pax, this.longName, this.longLink);
        const padded = Math.ceil(header.size / BLOCK) * BLOCK;
        if (['x', 'g', 'L', 'K'].includes(header.flag)) {
            if (header.size > MAX_HEADER_BYTES)
                throw hostile('a header', 'is larger than any needs to be');
            this.collecting = { flag: header.flag, pieces: [], left: header.size };
            this.pass(block);
            [this.skip, this.content] = [padded, header.size];
            if (padded === 0)
                this.collected();
            return;
        }
        this.refuseHostile(header);
        this.pax = new Map();
        this.longName = this.longLink = undefined;
        this.handlers.onMember?.(header);
        this.keeping = this.handlers.keep?.(header) ?? true;
        if (this.keeping)
            this.kept.push(...this.held);
        this.held = [];
        this.pass(block);
        // A link has no content, whatever its size says.
        const none = header.type !== 'file';
        if (header.flag === 'S' && block[482] !== 0) {
            this.sparseMore = true;
            [this.pendingSkip, this.pendingContent] = [padded, header.size];
            return;
        }
        [this.skip, this.content] = none ? [0, 0] : [padded, header.size];
    }
    refuseHostile(member) {
        const parts = safeParts(member.name);
        if (parts === null)
            throw hostile(member.name, 'leaves the directory that it belongs to');
        if (member.type === 'other')
            throw hostile(member.name, 'is a device or of an unknown type');
        if (parts.length === 0 && member.type !== 'directory')
            throw hostile(member.name, 'would replace the root by something else');
        const through = this.throughLink(parts);
        if (through !== undefined)
            throw hostile(member.name, `would be written through the symbolic link "${through}"`);
        if (member.type === 'hardlink') {
            const target = safeParts(member.link);
            if (target === null || target.length === 0)
                throw hostile(member.name, 'is a hard link to something outside');
            const via = this.throughLink(target);
            if (via !== undefined)
                throw hostile(member.name, `is a hard link through the symbolic link "${via}"`);
        }
        const path = parts.join('/');
        if (member.type === 'symlink')
            this.links.add(path);
        else if (member.type === 'directory' && this.links.has(path)) {
            // GNU tar keeps a link to a directory that lies where a directory is to be made.
            throw hostile(member.name, 'would be written through the symbolic link of the same name');
        }
        else
            this.links.delete(path);
    }
    throughLink(parts) {
        if (this.links.size === 0)
            return undefined;
        for (let depth = 1; depth < parts.length; depth += 1) {
            const above = parts.slice(0, depth).join('/');
            if (this.links.has(above))
                return above;
        }
        return undefined;
    }
}
function readHeader(block, pax, longName, longLink) {
    const stored = number(block, 148, 8);
    let sum = 8 * 0x20;
    for (let at = 0; at < BLOCK; at += 1)
        if (at < 148 || at >= 156)
            sum += block[at];
    if (sum !== stored)
        throw damaged("a member's header has the wrong checksum");
    const flag = block[156] === 0 ? '0' : String.fromCharCode(block[156]);
    const ustar = block.toString('latin1', 257, 263) === 'ustar\0';
    const prefix = ustar ? cString(block.subarray(345, 500)) : '';
    const short = cString(block.subarray(0, 100));
    const name = pax.get('GNU.sparse.name') ?? pax.get('path') ?? longName ?? (prefix === '' ? short : `${prefix}/${short}`);
    const sizeText = pax.get('size');
    const size = sizeText === undefined ? number(block, 124, 12) : Number(sizeText);
    if (!Number.isSafeInteger(size) || size < 0)
        throw damaged("a member's size is not a number");
    const link = pax.get('linkpath') ?? longLink ?? cString(block.subarray(157, 257));
    const type = typeOf(flag, name);
    return {
        flag,
        link,
        name,
        path: (safeParts(name) ?? []).join('/'),
        type,
        ...(type === 'hardlink' ? { target: (safeParts(link) ?? []).join('/') } : {}),
        size,
        mode: number(block, 100, 8) & 0o7777,
        uid: Number(pax.get('uid') ?? number(block, 108, 8)),
        gid: Number(pax.get('gid') ?? number(block, 116, 8)),
        mtime: Number(pax.get('mtime') ?? number(block, 136, 12)),
    };
}
function typeOf(flag, name) {
    switch (flag) {
        case '0':
            return name.endsWith('/') ? 'directory' : 'file';
        case '7':
        case 'S':
            return 'file';
        case '1':
            return 'hardlink';
        case '2':
            return 'symlink';
        case '5':
            return 'directory';
        case '6':
            return 'fifo';
        default:
            return 'other';
    }
}
/** The components of a relative path without `.`; null for one that is absolute, climbs, or holds a NUL. */
function safeParts(name) {
    if (name === '' || name.startsWith('/') || name.includes('\0'))
        return null;
    const parts = name.split('/').filter((part) => part !== '' && part !== '.');
    return parts.includes('..') ? null : parts;
}
/** Octal text, or GNU's base 256 where the first bit is set. */
function number(block, at, length) {
    if ((block[at] & 0x80) !== 0) {
        let value = block[at] & 0x7f;
        for (let i = at + 1; i < at + length; i += 1)
            value = value * 256 + block[i];
        if (!Number.isSafeInteger(value))
            throw damaged('a number in a header is out of range');
        return value;
    }
    const text = cString(block.subarray(at, at + length)).trim();
    if (!/^[0-7]*$/.test(text))
        throw damaged('a number in a header is not one');
    return text === '' ? 0 : parseInt(text, 8);
}
function cString(bytes) {
    const end = bytes.indexOf(0);
    return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}
/** `LENGTH KEY=VALUE\n`, the length counting itself. */
function paxRecords(bytes) {
    const records = new Map();
    let at = 0;
    while (at < bytes.length) {
        const space = bytes.indexOf(0x20, at);
        const length = space === -1 ? NaN : Number(bytes.toString('latin1', at, space));
        const end = at + length;
        if (!Number.isSafeInteger(length) || end > bytes.length || end <= space || bytes[end - 1] !== 0x0a) {
            throw damaged('a pax header is malformed');
        }
        const equals = bytes.indexOf(0x3d, space);
        if (equals === -1 || equals >= end)
            throw damaged('a pax header is malformed');
        records.set(bytes.toString('utf8', space + 1, equals), bytes.toString('utf8', equals + 1, end - 1));
        at = end;
    }
    return records;
}
/** A member's header in pax format, with a header of its own before it where the name does not fit. Content must be padded to 512 bytes by the caller. */
function tarHeader(member) {
    const name = Buffer.from(member.name);
    const records = [];
    if (name.length > 100)
        records.push(paxRecord('path', member.name));
    if (member.size > 0o77777777777)
        records.push(paxRecord('size', String(member.size)));
    for (const [key, value] of [
        ['uid', member.uid],
        ['gid', member.gid],
    ]) {
        if (value > 0o7777777)
            records.push(paxRecord(key, String(value)));
    }
    const main = header(name, member, '0');
    if (records.length === 0)
        return main;
    const body = Buffer.from(records.join(''));
    const extra = { ...member, size: body.length, uid: 0, gid: 0, mode: 0o644 };
    return Buffer.concat([header(Buffer.from('./PaxHeaders/member'), extra, 'x'), body, tarPadding(body.length), main]);
}
/** The zeros that fill a member's last block. */
function tarPadding(size) {
    return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}
const TAR_END = Buffer.alloc(2 * BLOCK);
function paxRecord(key, value) {
    const body = Buffer.byteLength(` ${key}=${value}\n`);
    let length = body + String(body).length;
    if (String(length).length !== String(body).length)
        length = body + String(length).length;
    return `${length} ${key}=${value}\n`;
}
function header(name, member, flag) {
    const block = Buffer.alloc(BLOCK);
    const octal = (value, at, length) => {
        const fits = value < 8 ** (length - 1) ? value : 0; // Where it does not fit a pax record says it.
        block.write(`${fits.toString(8).padStart(length - 1, '0')}\0`, at, 'latin1');
    };
    name.copy(block, 0, 0, 100);
    octal(member.mode, 100, 8);
    octal(member.uid, 108, 8);
    octal(member.gid, 116, 8);
    octal(member.size, 124, 12);
    octal(Math.max(0, Math.floor(member.mtime)), 136, 12);
    block.write('        ', 148, 'latin1');
    block.write(flag, 156, 'latin1');
    block.write('ustar\0' + '00', 257, 'latin1');
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    return block;
}
function damaged(why) {
    return new errors/* CaretakerError */.xT('part-damaged', `failed to read the tar archive: ${why}`, {
        hint: 'The file is not what was written. Fetch it again, or take another backup.',
    });
}
function hostile(name, why) {
    return new errors/* CaretakerError */.xT('part-hostile', `failed to trust the tar archive: its member ${JSON.stringify(name.slice(0, 200))} ${why}`, {
        hint: 'Nothing was unpacked. No backup of this program holds such a member: find out where the file comes from. A device inside a directory is left out by exclude=….',
    });
}

// EXTERNAL MODULE: external "node:events"
var external_node_events_ = __webpack_require__(78474);
// EXTERNAL MODULE: external "node:util"
var external_node_util_ = __webpack_require__(57975);
// EXTERNAL MODULE: external "node:zlib"
var external_node_zlib_ = __webpack_require__(38522);
var external_node_zlib_default = /*#__PURE__*/__webpack_require__.n(external_node_zlib_);
;// CONCATENATED MODULE: ./src/archive/zstd.ts




/**
 * Zstandard as `.zst` files hold it: frames one after the other (RFC 8878), readable by any `zstd`.
 *
 * Written in frames of 2 MiB, because a frame is what one thread of Node's pool can work on alone (frames of 4 MiB take 40 MiB more memory and save no time):
 * `ZSTD_c_nbWorkers` crashes Node 24's stream, and one stream uses one core.
 */
const BLOCK_BYTES = 2 * 1024 * 1024;
const FRAMES_AT_ONCE = 4;
/** Above this a frame is decoded as a stream: frames of other programs may be as large as the file. */
const WHOLE_FRAME_BYTES = 16 * 1024 * 1024;
const MAX_BLOCK_BYTES = 128 * 1024;
const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const zstdCompress = (0,external_node_util_.promisify)((external_node_zlib_default()).zstdCompress);
const zstdDecompress = (0,external_node_util_.promisify)((external_node_zlib_default()).zstdDecompress);
/**
 * Compresses a stream into frames with content size and checksum, in order. Memory: `concurrency + 1` blocks and their
 * results, however long the stream is; `source` is read only as fast as the consumer takes. An empty stream is one empty frame.
 */
async function* compress(source, options = {}) {
    const blockBytes = options.blockBytes ?? BLOCK_BYTES;
    const concurrency = options.concurrency ?? FRAMES_AT_ONCE;
    const settings = {
        // One call to the pool a block: with the default of 16 KiB every piece of output is a round trip of its own.
        chunkSize: Math.max(64 * 1024, blockBytes + (blockBytes >> 8) + 1024),
        params: {
            [(external_node_zlib_default()).constants.ZSTD_c_compressionLevel]: options.level ?? 1,
            [(external_node_zlib_default()).constants.ZSTD_c_checksumFlag]: 1,
            [(external_node_zlib_default()).constants.ZSTD_c_contentSizeFlag]: 1,
        },
    };
    // Blocks are used again: a new buffer for each leaves the garbage of seconds in memory.
    const free = [];
    const pending = [];
    let block = Buffer.allocUnsafeSlow(blockBytes);
    let filled = 0;
    let frames = 0;
    const start = (raw) => {
        // Without it Node's asynchronous call writes frames that don't say how much they hold, and those are decoded by one thread, at a third of the speed.
        const frame = zstdCompress(raw.subarray(0, filled), { ...settings, pledgedSrcSize: filled });
        frame.catch(() => undefined); // Reported when its turn comes; until then it must not count as unhandled.
        pending.push({ frame, block: raw });
        frames += 1;
    };
    const next = async () => {
        const first = pending.shift();
        const frame = await first.frame;
        free.push(first.block);
        return frame;
    };
    for await (const chunk of source) {
        let at = 0;
        while (at < chunk.length) {
            const take = Math.min(chunk.length - at, blockBytes - filled);
            block.set(chunk.subarray(at, at + take), filled);
            at += take;
            filled += take;
            if (filled < blockBytes)
                continue;
            start(block);
            if (pending.length >= concurrency)
                yield await next();
            block = free.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
            filled = 0;
        }
    }
    if (filled > 0 || frames === 0)
        start(block);
    while (pending.length > 0)
        yield await next();
}
/**
 * Decodes a `.zst` stream: any number of frames, skippable frames, frames of unknown size. Checksums are checked.
 * Throws `part-damaged` for a truncated stream (at whatever byte), for an empty one, and for bytes that are no frame.
 *
 * The frames' boundaries are found here, since Node's `createZstdDecompress` stops without any error at the end of the
 * first frame when a chunk holds more than one: data would be lost in silence.
 */
async function* decompress(source) {
    const input = new ByteReader(source);
    const ahead = [];
    try {
        if (await input.atEnd())
            throw zstd_damaged('it is empty');
        while (!(await input.atEnd())) {
            const magic = (await input.exactly(4)).readUInt32LE();
            if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC) {
                await input.skip((await input.exactly(4)).readUInt32LE());
                continue;
            }
            if (magic !== FRAME_MAGIC)
                throw zstd_damaged(`there is something that is no zstd frame at byte ${input.position - 4}`);
            const header = await zstd_readHeader(input);
            const blocks = readBlocks(input, header);
            const whole = header.contentSize !== undefined && header.contentSize <= WHOLE_FRAME_BYTES;
            const head = [header.bytes];
            let complete = false;
            if (whole) {
                let size = 0;
                for (;;) {
                    const piece = await blocks.next();
                    if (piece.done === true) {
                        complete = true;
                        break;
                    }
                    head.push(piece.value);
                    size += piece.value.length;
                    if (size > 2 * WHOLE_FRAME_BYTES)
                        break;
                }
            }
            if (complete) {
                const frame = decodeFrame(Buffer.concat(head), header.contentSize);
                frame.catch(() => undefined); // As in compress().
                ahead.push(frame);
                if (ahead.length >= FRAMES_AT_ONCE)
                    yield await ahead.shift();
            }
            else {
                while (ahead.length > 0)
                    yield await ahead.shift();
                yield* decodeLongFrame(head, blocks, header.contentSize);
            }
        }
        while (ahead.length > 0)
            yield await ahead.shift();
    }
    finally {
        await input.close();
    }
}
/** RFC 8878, 3.1.1.1, behind the magic number. */
async function zstd_readHeader(input) {
    const descriptor = (await input.exactly(1))[0];
    const single = (descriptor & 0x20) !== 0;
    if ((descriptor & 0x08) !== 0)
        throw zstd_damaged('a frame uses a reserved bit');
    const dictionaryBytes = [0, 1, 2, 4][descriptor & 3];
    const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >> 6];
    const rest = await input.exactly((single ? 0 : 1) + dictionaryBytes + sizeBytes);
    const size = rest.subarray(rest.length - sizeBytes);
    const contentSize = sizeBytes === 0
        ? undefined
        : sizeBytes === 2
            ? size.readUInt16LE() + 256
            : sizeBytes === 8
                ? Number(size.readBigUInt64LE())
                : size.readUIntLE(0, sizeBytes);
    const magic = Buffer.alloc(4);
    magic.writeUInt32LE(FRAME_MAGIC);
    return {
        bytes: Buffer.concat([magic, Buffer.of(descriptor), rest]),
        checksum: (descriptor & 0x04) !== 0,
        contentSize,
    };
}
/** The blocks of a frame with their headers, and its checksum, as stored. */
async function* readBlocks(input, header) {
    for (;;) {
        const head = await input.exactly(3);
        const bits = head.readUIntLE(0, 3);
        const type = (bits >> 1) & 3;
        const size = bits >> 3;
        if (type === 3)
            throw zstd_damaged('a block has a reserved type');
        if (type === 2 && size > MAX_BLOCK_BYTES)
            throw zstd_damaged('a block is larger than any may be');
        yield head;
        yield await input.exactly(type === 1 ? 1 : size);
        if ((bits & 1) === 1)
            break;
    }
    if (header.checksum)
        yield await input.exactly(4);
}
async function decodeFrame(frame, contentSize) {
    let raw;
    try {
        raw = await zstdDecompress(frame, {
            chunkSize: Math.max(64, contentSize + 64),
            maxOutputLength: Math.max(1, contentSize),
        });
    }
    catch (error) {
        throw zstd_damaged('a frame does not decode', error);
    }
    if (raw.length !== contentSize)
        throw zstd_damaged('a frame holds less than it says');
    return raw;
}
async function* decodeLongFrame(head, blocks, contentSize) {
    const decoder = external_node_zlib_default().createZstdDecompress({ chunkSize: 256 * 1024 });
    const feed = async () => {
        const write = async (piece) => {
            if (!decoder.write(piece))
                await (0,external_node_events_.once)(decoder, 'drain');
        };
        try {
            for (const piece of head)
                await write(piece);
            for await (const piece of blocks)
                await write(piece);
            decoder.end();
        }
        catch (error) {
            decoder.destroy(error);
        }
    };
    const fed = feed();
    let size = 0;
    try {
        for await (const piece of decoder) {
            size += piece.length;
            yield piece;
        }
        await fed;
    }
    catch (error) {
        throw error instanceof errors/* CaretakerError */.xT ? error : zstd_damaged('a frame does not decode', error);
    }
    finally {
        decoder.destroy();
        await fed;
    }
    if (contentSize !== undefined && size !== contentSize)
        throw zstd_damaged('a frame holds less than it says');
}
function zstd_damaged(why, cause) {
    return new errors/* CaretakerError */.xT('part-damaged', `failed to decompress the data: ${why}`, {
        hint: 'The file is not what was written. Fetch it again, or take another backup.',
        cause,
    });
}
/** Exact numbers of bytes out of a stream of chunks of any size. */
class ByteReader {
    chunks;
    current = Buffer.alloc(0);
    ended = false;
    position = 0;
    constructor(source) {
        this.chunks = source[Symbol.asyncIterator]();
    }
    async more() {
        while (this.current.length === 0 && !this.ended) {
            const next = await this.chunks.next();
            if (next.done === true)
                this.ended = true;
            else
                this.current = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.byteLength);
        }
        return this.current.length > 0;
    }
    async atEnd() {
        return !(await this.more());
    }
    /** A view where one chunk holds it all, a copy otherwise. */
    async exactly(bytes) {
        this.position += bytes;
        if (this.current.length >= bytes)
            return this.take(bytes);
        const pieces = [];
        let missing = bytes;
        while (missing > 0) {
            if (!(await this.more()))
                throw zstd_damaged('it ends in the middle of a frame');
            const piece = this.take(Math.min(missing, this.current.length));
            pieces.push(piece);
            missing -= piece.length;
        }
        return Buffer.concat(pieces);
    }
    async skip(bytes) {
        this.position += bytes;
        let missing = bytes;
        while (missing > 0) {
            if (!(await this.more()))
                throw zstd_damaged('it ends in the middle of a frame');
            missing -= this.take(Math.min(missing, this.current.length)).length;
        }
    }
    /** Lets the source go, also where the consumer stopped early. */
    async close() {
        this.ended = true;
        await this.chunks.return?.();
    }
    take(bytes) {
        const taken = this.current.subarray(0, bytes);
        this.current = this.current.subarray(bytes);
        return taken;
    }
}

;// CONCATENATED MODULE: ./src/archive/parts.ts








/**
 * Compresses what the program prints into a new file (mode 600), durably: when this is fulfilled, the program has ended well and
 * both the file and its directory entry are on disk.
 *
 * Throws `disk-full`, `part-exists`, the signal's reason, and `part-failed` for everything else that went wrong, the program's
 * own failure included; the file is gone then and the program has ended.
 */
async function writePart(part) {
    const { stream, signal } = part;
    // Before anything is awaited: when a child process exits, Node drops the output that nobody has begun to read.
    const stdout = (0,external_node_stream_.pipeline)(stream.stdout, new external_node_stream_.PassThrough({ highWaterMark: 1024 * 1024 }), () => undefined);
    const path = (0,external_node_path_.join)(part.directory, part.file);
    const stop = () => stream.kill();
    signal?.addEventListener('abort', stop);
    let file;
    try {
        signal?.throwIfAborted();
        // `x`: a file of that name is somebody's backup.
        file = await (0,promises_.open)(path, 'wx', 0o600);
        stream.stdin.on('error', () => undefined); // A program that does not read it may close it first.
        stream.stdin.end();
        const hash = (0,external_node_crypto_.createHash)('sha256');
        let bytes = 0;
        let rawBytes = 0;
        const counted = async function* () {
            for await (const chunk of stdout) {
                rawBytes += chunk.length;
                part.onProgress?.(rawBytes);
                yield chunk;
            }
        };
        for await (const frame of compress(counted(), part.level === undefined ? {} : { level: part.level })) {
            hash.update(frame);
            let at = 0;
            while (at < frame.length)
                at += (await file.write(frame, at)).bytesWritten;
            bytes += frame.length;
        }
        // A program that failed has printed less than the data, however well its output ended.
        await stream.done;
        await file.sync();
        await file.close();
        await parts_syncDirectory(part.directory);
        return { file: part.file, bytes, rawBytes, sha256: hash.digest('hex') };
    }
    catch (error) {
        stream.kill();
        await stream.done.catch(() => undefined);
        if (file !== undefined) {
            await file.close().catch(() => undefined);
            await (0,promises_.rm)(path, { force: true });
        }
        if (signal?.aborted === true)
            throw signal.reason;
        throw failure(path, error);
    }
    finally {
        signal?.removeEventListener('abort', stop);
    }
}
/** A small text beside the parts (RESTORE.md, the manifest), as durably. Throws `disk-full`, `part-exists`, `part-failed`. */
async function writeText(directory, name, text) {
    const path = (0,external_node_path_.join)(directory, name);
    const content = Buffer.from(text);
    let file;
    try {
        file = await (0,promises_.open)(path, 'wx', 0o600);
        await file.writeFile(content);
        await file.sync();
        await file.close();
        await parts_syncDirectory(directory);
    }
    catch (error) {
        if (file !== undefined) {
            await file.close().catch(() => undefined);
            await (0,promises_.rm)(path, { force: true });
        }
        throw failure(path, error);
    }
    return { path, name, bytes: content.length, sha256: (0,external_node_crypto_.createHash)('sha256').update(content).digest('hex') };
}
/**
 * The raw bytes of a part's file. The digest of what is stored, its length and that of the raw bytes are checked on the way:
 * the last chunk is followed by `part-damaged` where anything differs, so what was read is good only once the loop has ended.
 */
async function* readPart(path, file) {
    const hash = (0,external_node_crypto_.createHash)('sha256');
    let bytes = 0;
    let rawBytes = 0;
    const stored = async function* () {
        for await (const chunk of (0,external_node_fs_.createReadStream)(path, { highWaterMark: 1024 * 1024 })) {
            hash.update(chunk);
            bytes += chunk.length;
            yield chunk;
        }
    };
    try {
        for await (const chunk of decompress(stored())) {
            rawBytes += chunk.length;
            // What decodes to more than it should is stopped at once, not when the disk is full.
            if (rawBytes > file.rawBytes)
                throw parts_damaged(path, 'it holds more than the manifest says');
            yield chunk;
        }
    }
    catch (error) {
        if (error instanceof errors/* CaretakerError */.xT && error.code !== 'part-damaged')
            throw error;
        if (error.code === 'ENOENT') {
            throw new errors/* CaretakerError */.xT('part-missing', `failed to find ${path}`, {
                hint: 'The backup is incomplete: fetch it again, or take another.',
                cause: error,
            });
        }
        throw parts_damaged(path, (0,errors/* messageOf */.bD)(error), error);
    }
    if (bytes !== file.bytes)
        throw parts_damaged(path, `it has ${bytes} bytes, the manifest says ${file.bytes}`);
    if (hash.digest('hex') !== file.sha256)
        throw parts_damaged(path, 'its SHA-256 is not the one in the manifest');
    if (rawBytes !== file.rawBytes)
        throw parts_damaged(path, `it holds ${rawBytes} bytes, the manifest says ${file.rawBytes}`);
}
/**
 * Everything that can be known of a part's file without unpacking it: the digest, that all of it decompresses, and for
 * a tar archive that its members are whole and harmless. Throws `part-missing`, `part-damaged`, `part-hostile`.
 */
async function verifyPart(path, file, options = {}) {
    const raw = readPart(path, file);
    let rawBytes = 0;
    try {
        for await (const chunk of file.file.endsWith('.tar.zst') ? checkTar(raw) : raw) {
            rawBytes += chunk.length;
            options.onProgress?.(rawBytes);
        }
    }
    catch (error) {
        if (!(error instanceof errors/* CaretakerError */.xT))
            throw parts_damaged(path, (0,errors/* messageOf */.bD)(error), error);
        if (error.message.includes(path))
            throw error;
        throw new errors/* CaretakerError */.xT(error.code, `failed to verify ${path}: ${error.message}`, {
            ...(error.hint === undefined ? {} : { hint: error.hint }),
            cause: error,
        });
    }
}
function failure(path, error) {
    const code = error.code;
    if (code === 'ENOSPC' || code === 'EDQUOT') {
        return new errors/* CaretakerError */.xT('disk-full', `failed to write ${path}: no space is left in ${(0,external_node_path_.dirname)(path)}`, {
            hint: 'Free some space there, or choose another directory for backups, and run again. Nothing of the unfinished file was kept.',
            cause: error,
        });
    }
    if (code === 'EEXIST') {
        return new errors/* CaretakerError */.xT('part-exists', `failed to write ${path}: it is there already`, {
            hint: 'Two backups of one project began in the same second. Run again.',
            cause: error,
        });
    }
    return new errors/* CaretakerError */.xT('part-failed', `failed to write ${(0,external_node_path_.basename)(path)}: ${(0,errors/* messageOf */.bD)(error)}`, {
        hint: (error instanceof errors/* CaretakerError */.xT ? error.hint : undefined) ??
            'Nothing of the unfinished file was kept. Mend what the message names, and run again.',
        cause: error,
    });
}
function parts_damaged(path, why, cause) {
    return new errors/* CaretakerError */.xT('part-damaged', `failed to read ${path}: ${why}`, {
        hint: 'The file is not what was written. Fetch it again, or take another backup.',
        cause,
    });
}
async function parts_syncDirectory(directory) {
    const handle = await (0,promises_.open)(directory, 'r');
    try {
        await handle.sync();
    }
    finally {
        await handle.close();
    }
}

// EXTERNAL MODULE: ./src/report/units.ts
var units = __webpack_require__(17885);
// EXTERNAL MODULE: ./src/system/files.ts
var system_files = __webpack_require__(31650);
;// CONCATENATED MODULE: ./src/system/disk.ts



/** Bytes that this user may still write where `target` is or would be. Throws `disk-unreadable`. */
async function freeBytes(target) {
    const place = await nearestExisting(target);
    try {
        const { bavail, bsize } = await (0,promises_.statfs)(place);
        return bavail * bsize;
    }
    catch (error) {
        throw unreadable(place, error);
    }
}
/**
 * Whether both are, or would be, on one filesystem. Necessary for a rename between them, but not enough: a bind mount of the same
 * filesystem refuses it (EXDEV) all the same. Throws `disk-unreadable`.
 */
async function sameFilesystem(one, other) {
    const [first, second] = await Promise.all([one, other].map(async (target) => (await (0,promises_.stat)(await nearestExisting(target))).dev));
    return first === second;
}
async function nearestExisting(target) {
    for (let place = external_node_path_default().resolve(target);; place = external_node_path_default().dirname(place)) {
        try {
            await (0,promises_.stat)(place);
            return place;
        }
        catch (error) {
            const { code } = error;
            if ((code !== 'ENOENT' && code !== 'ENOTDIR') || place === '/')
                throw unreadable(place, error);
        }
    }
}
function unreadable(place, cause) {
    return new errors/* CaretakerError */.xT('disk-unreadable', `failed to look at the filesystem of ${place}: ${(0,errors/* messageOf */.bD)(cause)}`, {
        cause,
    });
}

// EXTERNAL MODULE: external "node:os"
var external_node_os_ = __webpack_require__(48161);
;// CONCATENATED MODULE: ./src/system/identity.ts


function hostName() {
    return (0,external_node_os_.hostname)();
}
/** Changes with every boot. */
function bootId() {
    return (0,external_node_fs_.readFileSync)('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
function ownIdentity() {
    const stat = processStat(process.pid);
    if (stat === null)
        throw new Error('/proc has no entry for this process: is /proc mounted?');
    return {
        bootId: bootId(),
        pid: process.pid,
        startTime: stat.startTime,
        host: hostName(),
        pidNamespace: pidNamespace(),
    };
}
/**
 * False once that process is known to have ended; a zombie has. A process of another pid namespace of this boot can't be seen
 * from here, and counts as alive: robbing a living holder is the worse mistake.
 */
function isAlive(identity) {
    if (identity.bootId !== bootId())
        return false;
    if (isElsewhere(identity))
        return true;
    const stat = processStat(identity.pid);
    return stat !== null && stat.startTime === identity.startTime && !'ZXx'.includes(stat.state);
}
/** True where `isAlive` can only guess. */
function isElsewhere(identity) {
    return identity.bootId === bootId() && identity.pidNamespace !== pidNamespace();
}
/** Null when there is no such process. */
function processStat(pid) {
    let text;
    try {
        text = (0,external_node_fs_.readFileSync)(`/proc/${pid}/stat`, 'latin1');
    }
    catch (error) {
        const { code } = error;
        // ESRCH: it ended between open and read.
        if (code === 'ENOENT' || code === 'ESRCH')
            return null;
        throw error;
    }
    // Field 2 is the program's name, in which blanks and parentheses may occur: count from its last one.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', parent: Number(fields[1]), group: Number(fields[2]), startTime: fields[19] ?? '' };
}
function pidNamespace() {
    return (0,external_node_fs_.readlinkSync)('/proc/self/ns/pid');
}

;// CONCATENATED MODULE: ./src/modes/capture.ts












/** Refuses before anything is stopped when a disk can't hold what is about to be written there, all of it together. `disk-full`. */
async function checkDisk(sources, directory, besides = []) {
    const sizes = await Promise.all(sources.map(rawBytes));
    const backup = sizes.reduce((sum, bytes) => sum + bytes, 0);
    await checkRooms([{ directory, bytes: backup, what: 'the data to be copied, before compression' }, ...besides]);
}
/** Refuses where a filesystem has no room for all that is about to be written to it. `disk-full`. */
async function checkRooms(rooms) {
    for (const { directory: place } of rooms) {
        const here = [];
        for (const room of rooms)
            if (await sameFilesystem(place, room.directory))
                here.push(room);
        const needed = here.reduce((sum, { bytes }) => sum + bytes, 0);
        const free = await freeBytes(place);
        if (free >= needed)
            continue;
        const parts = here.map(({ bytes, what, directory: one }) => `${(0,units/* formatBytes */.z3)(bytes)} for ${what}, in ${one}`);
        throw new errors/* CaretakerError */.xT('disk-full', `failed to begin: the filesystem of ${place} has ${(0,units/* formatBytes */.z3)(free)} free of the ${(0,units/* formatBytes */.z3)(needed)} that are needed: ${parts.join('; ')}`, {
            hint: 'Free some space on that filesystem: old images (docker image prune, podman image prune), and backups in a folder store, which keeps them until you remove them.',
        });
    }
}
/** Looked up once, before anything is stopped: a walk over the tree is no work for the time in which users wait. */
function rawBytes(source) {
    const known = estimates.get(source) ?? source.estimate();
    estimates.set(source, known);
    return known;
}
const estimates = new WeakMap();
/** More than this is worth one more pass while the application serves. */
const CATCH_UP_BYTES = 64 * 1024 * 1024;
const CATCH_UP_ROUNDS = 3;
/**
 * The first of two passes: all that can be copied while the application serves is copied, and read back whole, so that only what changes from here on
 * is left for the time in which users wait. Sources that have one pass only are left to `captureBackup`.
 */
async function warmBackup(tools, request) {
    const { recorder, clock } = tools;
    recorder.acted = true;
    const createdAt = clock.now();
    const name = backupName(tools.project.name, createdAt);
    await (0,promises_.mkdir)(request.directory, { recursive: true, mode: 0o700 });
    const parts = new Map();
    const end = async () => {
        for (const { capture } of parts.values())
            await capture.finish();
    };
    const writer = { tools, directory: request.directory, backup: name };
    try {
        for (const source of request.sources) {
            if (source.warm === undefined)
                continue;
            await recorder.step(`Back up ${source.name} while it serves`, async () => {
                tools.log.info(source.describe());
                const start = clock.monotonic();
                const capture = await source.warm?.();
                if (capture === undefined)
                    return;
                const part = { capture, files: [], seconds: 0 };
                parts.set(source, part);
                part.files.push(...(await writeStreams(writer, source, capture.streams)));
                part.seconds = (clock.monotonic() - start) / 1000;
            });
        }
        for (const [source, part] of parts) {
            const start = clock.monotonic();
            let bytes = Infinity;
            for (let round = 0; round < CATCH_UP_ROUNDS && bytes > CATCH_UP_BYTES; round++) {
                const streams = await part.capture.more('serving');
                const files = streams === 'anew' ? [] : await writeStreams(writer, source, streams);
                part.files.push(...files);
                bytes = files.reduce((sum, { rawBytes }) => sum + rawBytes, 0);
            }
            part.seconds += (clock.monotonic() - start) / 1000;
        }
        return { name, createdAt, deployment: await deployment(tools, request.head), parts, end };
    }
    catch (error) {
        await end();
        throw error;
    }
}
/**
 * Takes one backup of all sources into a local directory: databases first and files after them, so that no row refers to a file
 * that the backup lacks. Every part is written, fsynced, then read back whole: digest, decompression, the tar's structure.
 */
async function captureBackup(tools, request, warm) {
    const { project } = tools;
    tools.recorder.acted = true;
    const createdAt = warm?.createdAt ?? tools.clock.now();
    const name = warm?.name ?? backupName(project.name, createdAt);
    await (0,promises_.mkdir)(request.directory, { recursive: true, mode: 0o700 });
    const writer = { tools, directory: request.directory, backup: name };
    const parts = [];
    for (const source of request.sources) {
        parts.push(await tools.recorder.step(`Back up ${source.name}`, () => capturePart(writer, source, request.situation, warm?.parts.get(source))));
    }
    const draft = {
        schema: SCHEMA,
        name,
        createdAt: createdAt.toISOString(),
        reason: request.reason,
        project: project.name,
        projectDirectory: project.directory,
        host: hostName(),
        caretaker: tools.caretaker,
        ...(warm?.deployment ?? (await deployment(tools, request.head))),
        ...(request.images === undefined ? {} : { images: request.images }),
        ownership: project.files.way,
        encryption: null,
        parts,
        left: request.left,
    };
    const instructions = await writeText(request.directory, instructionsFile(name), renderInstructions(draft));
    const manifest = sealManifest({
        ...draft,
        instructions: { file: instructions.name, bytes: instructions.bytes, sha256: instructions.sha256 },
    });
    const manifestLocal = await writeText(request.directory, names_manifestFile(name), formatManifest(manifest));
    const partFiles = parts.flatMap((part) => part.files.map(({ file, bytes, sha256 }) => ({
        path: external_node_path_default().join(request.directory, file),
        name: file,
        bytes,
        sha256,
    })));
    return { manifest, directory: request.directory, files: [...partFiles, instructions, manifestLocal] };
}
async function capturePart(writer, source, situation, warm) {
    const { log, clock } = writer.tools;
    const start = clock.monotonic();
    const { name, kind, method, origin } = source;
    const done = ({ files, consistency, facts }) => ({
        ...{ name, kind, method, files, consistency, origin },
        seconds: (warm?.seconds ?? 0) + (clock.monotonic() - start) / 1000,
        ...facts,
    });
    if (warm !== undefined) {
        const more = await warm.capture.more(situation);
        if (more !== 'anew') {
            const files = [...warm.files, ...(await writeStreams(writer, source, more))];
            return done({ files, consistency: situation === 'serving' ? 'online' : situation, facts: warm.capture.facts });
        }
        log.info(`${name}: written to since it was copied; all of it is copied anew`);
        for (const { file } of warm.files)
            await (0,promises_.rm)(external_node_path_default().join(writer.directory, file));
        await warm.capture.finish();
    }
    log.info(source.describe());
    const capture = await source.capture(situation);
    try {
        const files = await writeStreams(writer, source, capture.streams);
        return done({ files, consistency: capture.consistency, facts: capture.facts });
    }
    finally {
        await capture.finish();
    }
}
/** Writes streams to files and reads each back whole: digest, decompression, the tar's structure. */
async function writeStreams(writer, source, streams) {
    const { tools, directory, backup } = writer;
    const { log, signal } = tools;
    signal.throwIfAborted();
    const total = await rawBytes(source);
    const files = [];
    for (const stream of streams) {
        const file = await writePart({
            directory,
            file: partFile(backup, source.name, stream.suffix),
            stream: stream.open(),
            onProgress: (bytes) => log.progress(source.name, bytes, total),
            signal,
        });
        await verifyPart(external_node_path_default().join(directory, file.file), file);
        log.info(`${file.file}: digest, compression and archive are whole`);
        files.push(file);
    }
    return files;
}
/** Inside the project directory relative to it, since a project may be restored elsewhere. */
function relativeTo(directory, file) {
    return file.startsWith(`${directory}/`) ? external_node_path_default().relative(directory, file) : file;
}
/** What is deployed now: code, engine, images. */
async function deployment(tools, head) {
    const { engine } = tools.project;
    return {
        version: { commit: head?.commit ?? null, tag: head?.tag ?? null, describe: head?.describe ?? null },
        engine: engine && {
            runtime: engine.runtime.name,
            version: engine.runtime.version,
            dialect: `${engine.compose.dialect.name} ${engine.compose.dialect.version}`,
            rootless: engine.runtime.rootless,
            composeFiles: engine.compose.files.map((file) => relativeTo(tools.project.directory, file)),
        },
        platform: (await engine?.runtime.platform()) ?? `${process.platform}/${process.arch}`,
        images: await imagesNow(tools),
    };
}
/** The images of the containers that are there. */
async function imagesNow({ project }) {
    const containers = (await project.containers()).filter(({ oneOff }) => !oneOff);
    return Promise.all(containers.map(async ({ service, imageName, imageId }) => ({
        ...{ service, name: imageName, id: imageId },
        digests: (await project.engine?.runtime.imageDigests(imageId)) ?? [],
    })));
}
/** Puts a captured backup into one store, the manifest last. */
async function storeBackup(tools, captured, store) {
    return tools.recorder.step(`Store in ${store.name}`, async () => {
        const ids = [];
        let url;
        for (const file of captured.files) {
            tools.signal.throwIfAborted();
            const stored = await store.put(file);
            if (stored.id !== undefined)
                ids.push(stored.id);
            url = stored.url;
            tools.log.info(`${file.name} stored, ${file.bytes} bytes, sha256 ${file.sha256}`);
        }
        return { name: store.name, kind: store.kind, url, ids };
    });
}
/** Where safety backups stay. */
function localDirectory(stateDirectory) {
    return external_node_path_default().join(stateDirectory, 'safety');
}
/** A backup that a folder on this host holds, as it was captured. Throws `store-missing` where it is not there. */
async function capturedIn(directory, name) {
    const file = names_manifestFile(name);
    const text = await (0,system_files/* readText */.yR)(external_node_path_default().join(directory, file));
    if (text === null)
        throw new errors/* CaretakerError */.xT('store-missing', `there is no backup ${name} in ${directory}`);
    const manifest = openManifest(JSON.parse(text));
    const local = (entry) => ({
        path: external_node_path_default().join(directory, entry.file),
        name: entry.file,
        bytes: entry.bytes,
        sha256: entry.sha256,
    });
    const own = { file, bytes: Buffer.byteLength(text), sha256: (0,external_node_crypto_.createHash)('sha256').update(text).digest('hex') };
    return {
        manifest,
        directory,
        files: [...manifest.parts.flatMap(({ files }) => files), manifest.instructions, own].map(local),
    };
}

;// CONCATENATED MODULE: ./src/project/data-reasons.ts
/** Trees of the host that no application's data are, with all that is below them. */
const hostTrees = [
    '/proc',
    '/sys',
    '/dev',
    '/run',
    '/var/run',
    '/etc',
    '/usr',
    '/bin',
    '/sbin',
    '/lib',
    '/lib32',
    '/lib64',
    '/boot',
];
/** Directories of the host that hold other things besides this application's: as a whole they are not its data, what is below them may be. */
const hostRoots = [
    '/',
    '/var',
    '/var/lib',
    '/var/lib/docker',
    '/var/lib/containers',
    '/var/log',
    '/home',
    '/root',
    '/srv',
    '/opt',
    '/mnt',
    '/media',
    '/tmp',
    '/var/tmp',
];
/** Why a bind mount of this host path is certainly no data; undefined when it may be. */
function hostPathReason(path) {
    if (/\/(docker|podman|containerd)\.sock$/.test(path))
        return "the container engine's socket";
    if (hostRoots.includes(path))
        return 'a directory of the host, not of the application';
    const tree = hostTrees.find((root) => path === root || path.startsWith(`${root}/`));
    return tree === undefined ? undefined : `it belongs to the host's own ${tree}`;
}
/** Why what the walk found can't be archived; undefined for a file or a directory. */
function scanReason(scan) {
    switch (scan.kind) {
        case 'socket':
            return 'a socket';
        case 'missing':
            return 'there is no such path on this host';
        case 'other':
            return 'neither a file nor a directory';
        case 'directory':
        case 'file':
            return undefined;
    }
}
/**
 * Directories directly below a mount that are certain to be rebuilt by whoever made them. Certain means: the directory says so itself by the
 * CACHEDIR.TAG of bford.info/cachedir, or it is Python's `__pycache__`. A name like `cache`, `tmp` or `logs` is no proof: applications
 * keep uploads in `tmp` and the only record of who did what in `logs`.
 */
const cacheNames = ['cache', '.cache', 'caches', 'tmp', '__pycache__'];

;// CONCATENATED MODULE: ./src/project/data-mounts.ts



/** Where containers exist they are believed, for they show what runs; the compose file speaks for services without one. */
async function readMounts(model, containers, runtime) {
    const all = [];
    const missingVolumes = [];
    for (const container of containers) {
        for (const mount of container.mounts) {
            all.push({
                service: container.service,
                type: mount.type,
                source: mount.type === 'bind' ? await realSource(mount.source) : tidy(mount.source),
                volume: mount.volume,
                target: tidy(mount.target),
                writable: mount.writable,
            });
        }
    }
    const facts = containers.map((container) => ({
        name: container.service,
        container,
        image: container.imageName,
        env: container.env,
        command: container.command,
    }));
    for (const service of model.services) {
        if (containers.some((container) => container.service === service.name))
            continue;
        facts.push({
            name: service.name,
            container: undefined,
            image: service.image ?? '',
            env: service.environment,
            command: [],
        });
        const { mounts, missing } = await mountsOfService(service, model, runtime);
        all.push(...mounts);
        missingVolumes.push(...missing);
    }
    return { all, services: facts, missingVolumes: [...new Set(missingVolumes)] };
}
async function mountsOfService(service, model, runtime) {
    const mounts = [];
    const missing = [];
    for (const volume of service.volumes) {
        const base = { service: service.name, target: tidy(volume.target), writable: !volume.readOnly };
        if (volume.type !== 'volume') {
            const source = volume.type === 'bind' ? await realSource(volume.source) : '';
            mounts.push({ ...base, type: volume.type, source, volume: undefined });
            continue;
        }
        // An anonymous volume of a container that does not exist has no data.
        if (volume.source === '')
            continue;
        const name = model.volumes[volume.source]?.name ?? volume.source;
        const info = await runtime.volume(name);
        if (info === null)
            missing.push(name);
        else
            mounts.push({ ...base, type: 'volume', source: tidy(info.mountpoint), volume: name });
    }
    return { mounts, missing };
}
/** True for the same path, too. */
function contains(outer, inner) {
    const path = (0,external_node_path_.relative)(outer, inner);
    return path === '' || (path !== '..' && !path.startsWith('../') && !(0,external_node_path_.isAbsolute)(path));
}
/**
 * Services that can write into this path: they mount it, something around it or something in it. A mount inside one of `apart` (absolute: what
 * other parts take, such as a database's directory in a bigger tree) makes no writer.
 */
function writersOf(mounts, path, apart = []) {
    const names = mounts.all
        .filter((mount) => mount.writable && mount.source !== '')
        .filter((mount) => contains(mount.source, path) || contains(path, mount.source))
        .filter((mount) => !apart.some((taken) => contains(taken, mount.source)))
        .map((mount) => mount.service);
    return [...new Set(names)];
}
/** The closest mount of a service (of any, without a name) that holds this host path; a writable one before a read-only one. */
function mountOf(mounts, path, service) {
    return mounts.all
        .filter((mount) => mount.source !== '' && contains(mount.source, path) && (service === undefined || mount.service === service))
        .sort((a, b) => b.source.length - a.source.length || Number(b.writable) - Number(a.writable))[0];
}
/** The path by which a container sees a host path that this mount holds. */
function containerPathOf(mount, path) {
    return tidy((0,external_node_path_.join)(mount.target, (0,external_node_path_.relative)(mount.source, path)));
}
/** The host path of a container's path; undefined where it lies in no mount, i.e. in the container itself. */
function hostPathOf(mounts, service, containerPath) {
    const path = tidy(containerPath);
    const mount = mounts.all
        .filter((candidate) => candidate.service === service && candidate.source !== '' && contains(candidate.target, path))
        .sort((a, b) => b.target.length - a.target.length)[0];
    return mount === undefined ? undefined : tidy((0,external_node_path_.join)(mount.source, (0,external_node_path_.relative)(mount.target, path)));
}
/**
 * Links resolved, for what is behind one is exchanged where it really lies, and two links to one place are one place. What this user may not
 * enter, or what is not there, stays as it is written.
 */
async function realSource(path) {
    const written = tidy(path);
    // /etc/localtime is a link nearly everywhere; it is known by its name.
    if (hostPathReason(written) !== undefined)
        return written;
    try {
        return await (0,promises_.realpath)(written);
    }
    catch (error) {
        if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(error.code ?? ''))
            return written;
        throw error;
    }
}
function tidy(path) {
    if (path === '')
        return '';
    const normal = (0,external_node_path_.normalize)(path);
    return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

;// CONCATENATED MODULE: ./src/project/data-names.ts

/** Hands out the names of parts: lower-case letters, digits and dashes, each once. They become file names in every store. */
class Names {
    #taken = new Set();
    /** The first wish that is free, else the first one with a number. */
    take(wishes) {
        const names = wishes.map(partName).filter((name) => name !== '');
        const first = names[0] ?? 'data';
        let name = names.find((candidate) => !this.#taken.has(candidate));
        for (let number = 2; name === undefined; number++) {
            if (!this.#taken.has(`${first}-${number}`))
                name = `${first}-${number}`;
        }
        this.#taken.add(name);
        return name;
    }
    /** A name that the user gave. Throws `data-name-invalid`, `data-name-duplicate`. */
    claim(name) {
        if (name !== partName(name)) {
            throw new errors/* CaretakerError */.xT('data-name-invalid', `failed to name a part "${name}": it is not made of lower-case letters, digits and single dashes`, {
                hint: `Write name=${partName(name) === '' ? 'data' : partName(name)}.`,
                input: 'data',
            });
        }
        if (this.#taken.has(name)) {
            throw new errors/* CaretakerError */.xT('data-name-duplicate', `failed to name two parts "${name}"`, {
                hint: 'Give each data line a name of its own with name=….',
                input: 'data',
            });
        }
        this.#taken.add(name);
    }
}
function partName(text) {
    return text
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, '-')
        .replace(/^-+|-+$/g, '')
        .slice(0, 60)
        .replace(/-+$/, '');
}

;// CONCATENATED MODULE: ./src/project/data-context.ts




async function contextOf(project, never) {
    const { engine } = project;
    const model = engine === null ? { name: project.name, services: [], volumes: {} } : await engine.compose.model();
    const mounts = engine === null
        ? { all: [], services: [], missingVolumes: [] }
        : await readMounts(model, await project.containers(), engine.runtime);
    return {
        project,
        model,
        mounts,
        runtime: engine?.runtime ?? null,
        files: project.files,
        names: new Names(),
        never: [project.stateDirectory, ...never],
        projectDirectory: project.directory,
    };
}
/** Only what is certain: everything else is taken. */
function staticReason(path, mounts) {
    const type = mounts[0]?.type;
    if (type === 'tmpfs')
        return 'tmpfs: it lives in memory';
    if (type === 'other')
        return 'neither a bind mount nor a volume';
    if (type === 'bind') {
        const why = hostPathReason(path);
        if (why !== undefined)
            return why;
    }
    return mounts.some((mount) => mount.writable) ? undefined : 'mounted read-only: the application does not write it';
}
function isAnonymous(mount) {
    return mount.volume !== undefined && /^[0-9a-f]{64}$/.test(mount.volume);
}
/** A volume by its key in the compose file, a directory by its path in the project. */
function namesOf(path, mount, context) {
    const { project, model } = context;
    if (mount?.volume !== undefined) {
        if (isAnonymous(mount))
            return [`${mount.service}-${(0,external_node_path_.basename)(mount.target)}`];
        const key = Object.entries(model.volumes).find(([, volume]) => volume.name === mount.volume)?.[0];
        return [
            key ?? (mount.volume.startsWith(`${project.name}_`) ? mount.volume.slice(project.name.length + 1) : mount.volume),
        ];
    }
    if (path === project.directory)
        return ['project-directory'];
    const inside = contains(project.directory, path);
    const name = inside ? (0,external_node_path_.relative)(project.directory, path) : (0,external_node_path_.basename)(path);
    return [name, `${(0,external_node_path_.basename)((0,external_node_path_.relative)(project.directory, `${path}/..`)) || 'other'}-${(0,external_node_path_.basename)(path)}`];
}
function describe(path, mounts) {
    const where = [...new Set(mounts.map((mount) => `${mount.service}:${mount.target}`))].join(', ');
    const volume = mounts[0]?.volume;
    return volume === undefined ? `${path} (${where})` : `volume ${volume} (${where})`;
}
/** The configuration as a part of its own; what lies outside the project's directory can't be in its tree and is a file by itself. */
async function data_context_projectFiles(context, claimed) {
    const { project, names } = context;
    const all = await project.configurationFiles();
    const inside = all.filter((path) => contains(project.directory, path));
    const specs = [];
    if (inside.length > 0) {
        specs.push({
            type: 'project-files',
            name: claimed ?? names.take(['project-files', 'configuration']),
            path: project.directory,
            members: inside,
            exclude: [],
            writers: [],
        });
    }
    for (const path of all) {
        if (inside.includes(path))
            continue;
        specs.push({
            type: 'file',
            name: names.take([(0,external_node_path_.basename)(path), `file-${(0,external_node_path_.basename)(path)}`]),
            path,
            exclude: [],
            writers: [],
        });
    }
    return specs;
}
function leftMounts(context, taken) {
    const bySource = Map.groupBy(context.mounts.all, (mount) => (mount.source === '' ? mount.target : mount.source));
    return [...bySource]
        .filter(([path]) => !taken.some((spec) => spec.type !== 'project-files' && (contains(spec.path, path) || contains(path, spec.path))))
        .map(([path, own]) => ({ what: describe(path, own), why: staticReason(path, own) ?? 'not named in data' }));
}

;// CONCATENATED MODULE: ./src/project/data-postgres.ts


/**
 * Which service serves the cluster in `path`: one that mounts it writable, and best the one whose PGDATA it is; then one whose command is
 * `postgres`; then one whose image is named after PostgreSQL, or in which `pg_isready` answers. POSTGRES_* variables prove nothing: the
 * application has them as well. Null when nobody mounts it writable.
 */
async function clusterOf(path, mounts, runtime) {
    const candidates = [];
    for (const service of mounts.services) {
        const mount = mountOf(mounts, path, service.name);
        if (mount === undefined || !mount.writable)
            continue;
        const containerPath = containerPathOf(mount, path);
        const evidence = await evidenceOf(service, containerPath, runtime);
        candidates.push({ path, service, mount, containerPath, evidence });
    }
    const running = (candidate) => Number(candidate.service.container?.state === 'running');
    return candidates.sort((a, b) => b.evidence - a.evidence || running(b) - running(a))[0] ?? null;
}
async function evidenceOf(service, containerPath, runtime) {
    const pgdata = service.env['PGDATA'];
    if (pgdata?.replace(/\/+$/, '') === containerPath)
        return 3;
    // A shell's name and options may stand before it: `docker-entrypoint.sh postgres -c …`.
    if (service.command.some((word) => /(^|\/)(postgres|postmaster)$/.test(word)))
        return 2;
    if (/postg(res|is)|pgvector|timescale/i.test(service.image.replace(/^.*\//, '')))
        return 1;
    if (service.container?.state !== 'running')
        return 0;
    return (await answers(service.container.id, runtime)) ? 1 : 0;
}
async function answers(containerId, runtime) {
    try {
        const { exitCode } = await runtime.exec(containerId, ['pg_isready'], {
            accept: [0, 1, 2, 3, 126, 127],
            timeoutMs: 15_000,
        });
        return exitCode === 0;
    }
    catch (error) {
        // Engines differ in how they say that there is no such program in the container. Not knowing is the answer "no":
        // the directory is then copied with the service stopped, which is right whatever runs in it.
        if (error instanceof errors/* CaretakerError */.xT)
            return false;
        throw error;
    }
}

;// CONCATENATED MODULE: ./src/project/data-split.ts




/** More databases than this in one tree are worth a word: each is a part of its own. */
const manySqliteFiles = 20;
/**
 * Takes the databases out of the trees, for a copy of their files while they are written is torn, and leaves the rest of each tree as files.
 * `already`: databases that have lines of their own.
 */
async function splitDatabases(roots, already, deps) {
    const { names, files } = deps;
    const leave = [];
    const notes = [];
    const found = await findClusters(roots, deps);
    const clusters = found.filter((cluster) => !already.some((spec) => spec.path === cluster.path));
    const postgres = clusters.map((cluster) => postgresSpec(cluster, names, clusters.length + already.filter((spec) => spec.type === 'postgres').length === 1));
    const postgresPaths = [...already.filter((spec) => spec.type === 'postgres'), ...postgres].map((spec) => spec.path);
    const sqlite = [];
    const trees = [];
    for (const root of roots) {
        const databases = root.scan.sqliteFiles
            .map((path) => (root.type === 'file' ? root.path : (0,external_node_path_.join)(root.path, path)))
            .filter((path) => !postgresPaths.some((cluster) => contains(cluster, path)))
            .filter((path) => !isExcluded((0,external_node_path_.relative)(root.path, path), root.exclude));
        const own = databases.filter((path) => !already.some((spec) => spec.path === path));
        for (const path of own)
            sqlite.push(sqliteSpec(path, own.length === 1 && root.scan.files <= 4 ? root.names : [], deps));
        if (own.length > manySqliteFiles) {
            notes.push(`${root.path} holds ${own.length} SQLite files: each is copied consistently, as a part of its own; exclude those that are caches or old copies with a line type=${root.type},…,exclude=…`);
        }
        const inside = postgresPaths.filter((path) => contains(root.path, path));
        if ((await restOf(root, inside, databases, files)) > 0 || (inside.length === 0 && databases.length === 0)) {
            const caches = root.type === 'file' ? [] : cacheNames.filter((name) => root.scan.caches.includes(name));
            for (const name of caches)
                leave.push({ what: (0,external_node_path_.join)(root.path, name), why: 'a cache, by its own mark' });
            trees.push(filesSpec(root, inside, databases, caches, deps));
        }
    }
    return { take: [...postgres, ...sqlite, ...trees], leave, notes };
}
async function findClusters(roots, deps) {
    const { runtime, mounts } = deps;
    if (runtime === null)
        return [];
    const clusters = [];
    for (const root of roots) {
        for (const path of root.scan.postgresDirectories) {
            if (isExcluded(path, root.exclude))
                continue;
            const cluster = await clusterOf(tidyJoin(root.path, path), mounts, runtime);
            if (cluster !== null)
                clusters.push(cluster);
        }
    }
    // A server has one directory. What else lies in its mount, an old version's that pg_upgrade left, is files that nobody writes.
    const result = [];
    for (const own of Map.groupBy(clusters, (cluster) => cluster.service.name).values()) {
        const most = Math.max(...own.map(({ evidence }) => evidence));
        const best = own.filter((cluster) => cluster.evidence === most);
        if (best.length === 1 || most === 0)
            result.push(...best);
        else
            result.push(...(await served(best, deps.files)));
    }
    return result;
}
/** Of clusters between which the container does not tell: the one with a running server's pid file; all where that tells nothing either. */
async function served(clusters, files) {
    const withPid = [];
    for (const cluster of clusters)
        if (await files.exists((0,external_node_path_.join)(cluster.path, 'postmaster.pid')))
            withPid.push(cluster);
    return withPid.length > 0 ? withPid : clusters;
}
/** `claimed`: a name that the user gave. */
function postgresSpec(cluster, names, only, claimed) {
    const { service, mount } = cluster;
    const runs = service.container?.state === 'running' && cluster.evidence > 0;
    return {
        type: 'postgres',
        name: claimed ?? names.take(only ? ['database', service.name] : [service.name, `${service.name}-database`]),
        service: service.name,
        // Without a running server there is nobody to ask, and nobody who writes.
        method: runs ? 'physical' : 'files',
        path: cluster.path,
        containerPath: cluster.containerPath,
        ...(mount.volume === undefined ? {} : { volume: mount.volume }),
        user: service.env['POSTGRES_USER'] ?? 'postgres',
    };
}
function sqliteSpec(path, rootNames, deps, claimed) {
    const writers = writersOf(deps.mounts, path);
    const mount = mountOf(deps.mounts, path, writers[0]);
    const base = (0,external_node_path_.basename)(path).replace(/\.[^.]*$/, '');
    const directory = (0,external_node_path_.basename)((0,external_node_path_.join)(path, '..'));
    return {
        type: 'sqlite',
        name: claimed ?? deps.names.take([base, ...rootNames, `${directory}-${base}`, `${base}-sqlite`]),
        path,
        writers,
        ...(mount === undefined ? {} : { service: mount.service, containerPath: containerPathOf(mount, path) }),
        ...(mount?.volume === undefined ? {} : { volume: mount.volume }),
    };
}
/** How many files of a root are left when the databases are taken out. */
async function restOf(root, postgres, databases, files) {
    if (root.type === 'file')
        return databases.length > 0 ? 0 : 1;
    let rest = root.scan.files - databases.length;
    for (const path of postgres) {
        if (path === root.path)
            return 0;
        rest -= (await files.scan(path)).files;
    }
    // Asked only while it can still matter, for each question may be a process of its own.
    for (const path of databases) {
        if (rest <= 0 || rest > databases.length * 3)
            break;
        for (const companion of companionsOf(path))
            if (await files.exists(companion))
                rest--;
    }
    return rest;
}
function filesSpec(root, postgres, databases, caches, deps) {
    const inside = (path) => contains(root.path, path) && path !== root.path ? [(0,external_node_path_.relative)(root.path, path)] : [];
    const mount = mountOf(deps.mounts, root.path);
    return {
        type: root.type,
        name: root.name ?? deps.names.take(root.names),
        path: root.path,
        exclude: [
            ...new Set([
                ...root.exclude,
                ...postgres.flatMap(inside),
                ...databases.flatMap((path) => [path, ...companionsOf(path)]).flatMap(inside),
                ...caches,
                ...deps.never.flatMap(inside),
                // History is git's own: a restore of files must not turn back what an update checked out. Files that are
                // changed or untracked are taken with the tree.
                ...inside((0,external_node_path_.join)(deps.projectDirectory, '.git')),
            ]),
        ],
        writers: writersOf(deps.mounts, root.path, [...postgres, ...databases]),
        ...(mount === undefined ? {} : { service: mount.service, containerPath: containerPathOf(mount, root.path) }),
        ...(root.volume === undefined ? {} : { volume: root.volume }),
    };
}
/** What belongs to a SQLite file and is worth nothing, or worse, without it. */
function companionsOf(path) {
    return ['-wal', '-shm', '-journal'].map((suffix) => `${path}${suffix}`);
}
/** Whether a relative path is excluded by literal paths or patterns (`*` within a name, `**` across directories). */
function isExcluded(path, patterns) {
    return patterns.some((pattern) => {
        const text = pattern.replace(/^\.\//, '').replace(/\/+$/, '');
        if (!text.includes('*'))
            return path === text || path.startsWith(`${text}/`);
        const source = text
            .split(/(\*\*|\*)/)
            .map((piece) => (piece === '**' ? '.*' : piece === '*' ? '[^/]*' : piece.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')))
            .join('');
        return new RegExp(`^${source}(/.*)?$`).test(path);
    });
}
function tidyJoin(root, path) {
    return (0,external_node_path_.join)(root, path).replace(/(.)\/$/, '$1');
}

;// CONCATENATED MODULE: ./src/project/data-lines.ts





/**
 * Resolves the lines against the project. Databases in a tree that a line names are taken out of it even where they have no line: copied as
 * files they would be torn. See planData for what is thrown.
 */
async function dataFromLines(lines, context) {
    for (const line of lines)
        if (line['name'] !== undefined)
            context.names.claim(line['name']);
    const databases = [];
    const roots = [];
    const others = [];
    for (const line of lines) {
        const type = line['type'] ?? '';
        switch (type) {
            case 'postgres':
                databases.push(await postgresOf(line, context));
                break;
            case 'sqlite':
                databases.push(await sqliteOf(line, context));
                break;
            case 'volume':
            case 'directory':
            case 'file':
                roots.push(await rootOf(line, context));
                break;
            case 'project-files':
                others.push(...(await data_context_projectFiles(context, line['name'])));
                break;
            default:
                throw data_lines_invalid(line, `there is no type "${type}"`);
        }
    }
    const once = withoutNested(roots);
    const split = await splitDatabases(once, databases, context);
    const take = [...databases, ...split.take, ...others].sort((a, b) => rank(a) - rank(b));
    return { take, leave: [...leftMounts(context, take), ...split.leave], notes: split.notes };
}
function rank(spec) {
    return { postgres: 0, sqlite: 1, volume: 2, directory: 2, file: 2, 'project-files': 3 }[spec.type];
}
/** A tree in another tree that has a line, too, is left out of the outer one: each path is in one part. */
function withoutNested(roots) {
    return roots.map((root) => ({
        ...root,
        exclude: [
            ...root.exclude,
            ...roots
                .filter((inner) => inner !== root && inner.path !== root.path && contains(root.path, inner.path))
                .map((inner) => (0,external_node_path_.relative)(root.path, inner.path)),
        ],
    }));
}
async function postgresOf(line, context) {
    const { mounts } = context;
    const service = line['service'];
    if (context.runtime === null)
        throw data_lines_invalid(line, 'a PostgreSQL server is found by its service, and this application is run by commands');
    if (service !== undefined)
        requireService(service, line, context);
    const sources = mounts.all.filter((mount) => mount.writable && mount.source !== '' && (service === undefined || mount.service === service));
    const roots = [];
    for (const path of new Set(sources.map((mount) => mount.source))) {
        // A cluster in a mount is found by the walk of the outermost one.
        if (sources.some((mount) => mount.source !== path && contains(mount.source, path)))
            continue;
        roots.push({ path, exclude: [], scan: await context.files.scan(path) });
    }
    const clusters = (await findClusters(roots, context)).filter((cluster) => service === undefined || cluster.service.name === service);
    const [cluster, second] = clusters;
    if (cluster === undefined) {
        throw new errors/* CaretakerError */.xT('postgres-not-found', `failed to find a PostgreSQL data directory ${service === undefined ? 'in the project' : `that the service ${service} mounts writable`}`, {
            hint: 'Name the service that runs the server. A server elsewhere, or one whose data is in no mount, is not supported.',
            input: 'data',
        });
    }
    if (second !== undefined) {
        throw new errors/* CaretakerError */.xT('postgres-ambiguous', `failed to choose a PostgreSQL server: ${clusters.map(({ path }) => path).join(' and ')} are data directories`, {
            hint: 'Add service=… to the line; old data directories of the same service must be moved away.',
            input: 'data',
        });
    }
    const method = line['method'];
    if (method !== undefined && method !== 'physical' && method !== 'dump' && method !== 'files') {
        throw data_lines_invalid(line, `there is no method ${method}`);
    }
    const name = line['name'];
    const spec = postgresSpec(cluster, context.names, name === undefined, name);
    return method === undefined ? spec : { ...spec, method };
}
async function sqliteOf(line, context) {
    const path = await pathOf(line, context);
    const scan = await context.files.scan(path);
    if (scan.kind !== 'file' || scan.sqliteFiles.length === 0) {
        throw new errors/* CaretakerError */.xT('data-not-sqlite', `failed to read ${path}: it is not a SQLite database`, {
            hint: 'Name the database file itself; a directory is taken by type=directory, its databases are found there.',
            input: 'data',
        });
    }
    return sqliteSpec(scan.root, [], context, line['name']);
}
async function rootOf(line, context) {
    const type = line['type'];
    const path = await pathOf(line, context);
    const scan = await context.files.scan(path);
    if (type === 'file' ? scan.kind !== 'file' : scan.kind !== 'directory') {
        throw data_lines_invalid(line, `${path} is a ${scan.kind}, not a ${type === 'file' ? 'file' : 'directory'}`);
    }
    const volume = type === 'volume' ? await volumeName(line, context) : undefined;
    // The real place, as the mounts are told: a link would be exchanged instead of what it leads to.
    const mount = mountOf(context.mounts, scan.root);
    return {
        path: scan.root,
        type,
        volume,
        names: type === 'volume'
            ? [line['volume'] ?? '']
            : namesOf(path, mount?.source === scan.root ? mount : undefined, context),
        name: line['name'],
        exclude: (line['exclude'] ?? '')
            .split(';')
            .map((item) => item.trim())
            .filter((item) => item !== ''),
        scan,
    };
}
/** The host path that a line means. Throws when it is not there. */
async function pathOf(line, context) {
    const path = await wantedPath(line, context);
    if (await context.files.exists(path))
        return path;
    throw new errors/* CaretakerError */.xT('data-path-missing', `failed to find ${path} of the line ${data_lines_text(line)}`, {
        hint: 'Check the path: relative ones count from the project directory, with service= from the container’s root, with volume= from the volume’s.',
        input: 'data',
    });
}
async function wantedPath(line, context) {
    const { project, mounts } = context;
    const path = line['path'];
    if (line['volume'] !== undefined) {
        const info = await context.runtime?.volume((await volumeName(line, context)) ?? '');
        const mountpoint = info?.mountpoint ?? '';
        const inside = (0,external_node_path_.join)(mountpoint, path ?? '.').replace(/(.)\/$/, '$1');
        if (!contains(mountpoint, inside))
            throw outside(line, `the volume ${line['volume']}`);
        return inside;
    }
    if (path === undefined)
        throw data_lines_invalid(line, 'it has neither path= nor volume=');
    if (line['service'] !== undefined) {
        requireService(line['service'], line, context);
        if (!(0,external_node_path_.isAbsolute)(path))
            throw data_lines_invalid(line, 'with service= the path is the container’s and begins with /');
        const host = hostPathOf(mounts, line['service'], path);
        if (host !== undefined)
            return host;
        throw new errors/* CaretakerError */.xT('data-path-missing', `failed to find ${path} of the service ${line['service']} on the host: it lies in none of its mounts`, {
            hint: 'Data in a container itself is lost with the container: mount a volume or directory there.',
            input: 'data',
        });
    }
    const resolved = (0,external_node_path_.resolve)(project.directory, path);
    // An absolute path is meant as written; a relative one that climbs out is more likely a mistake than a wish.
    if (!(0,external_node_path_.isAbsolute)(path) && !contains(project.directory, resolved))
        throw outside(line, 'the project directory');
    return resolved;
}
/** The engine's name of a volume that a line gives by its key in the compose file or by its own name. */
async function volumeName(line, context) {
    const wanted = line['volume'];
    if (wanted === undefined)
        throw data_lines_invalid(line, 'it names no volume=');
    const name = context.model.volumes[wanted]?.name ?? wanted;
    for (const candidate of [name, `${context.project.name}_${wanted}`]) {
        const info = await context.runtime?.volume(candidate);
        if (info !== undefined && info !== null)
            return candidate;
    }
    const known = Object.keys(context.model.volumes);
    throw new errors/* CaretakerError */.xT('data-volume-unknown', `failed to find the volume ${wanted} of the line ${data_lines_text(line)}`, {
        hint: known.length > 0
            ? `The compose file names ${known.join(', ')}.`
            : 'The compose file names no volumes; type=directory takes a bind mount.',
        input: 'data',
    });
}
function requireService(name, line, context) {
    const known = context.mounts.services.map((service) => service.name);
    if (known.includes(name))
        return;
    throw new errors/* CaretakerError */.xT('data-service-unknown', `failed to find the service ${name} of the line ${data_lines_text(line)}`, {
        hint: known.length > 0 ? `The services are ${[...new Set(known)].join(', ')}.` : 'This project has no services.',
        input: 'data',
    });
}
function outside(line, what) {
    return new errors/* CaretakerError */.xT('data-path-outside', `failed to use the line ${data_lines_text(line)}: its path leads out of ${what}`, {
        hint: 'Write an absolute path if a place outside is meant.',
        input: 'data',
    });
}
function data_lines_invalid(line, why) {
    return new errors/* CaretakerError */.xT('data-line-invalid', `failed to use the line ${data_lines_text(line)}: ${why}`, {
        hint: 'See the table of data lines in the README.',
        input: 'data',
    });
}
function data_lines_text(line) {
    return Object.entries(line)
        .map(([key, value]) => `${key}=${value}`)
        .join(',');
}

;// CONCATENATED MODULE: ./src/project/data.ts






/**
 * What has data: as the lines say (`key=value` records whose keys were validated), or found by looking at the project's mounts. Looks, and has
 * no effect. Throws for lines `data-service-unknown`, `data-volume-unknown`, `data-path-missing`, `data-path-outside`,
 * `data-name-invalid`, `data-name-duplicate`, `data-line-invalid`, `data-not-sqlite`, `postgres-not-found`, `postgres-ambiguous`;
 * `data-required` for `auto` where there is nothing to look at, `data-none` when there is nothing to take.
 */
async function planData(project, lines, 
/** Absolute paths that must not get into a backup wherever they lie: a folder of backups in a mounted tree. */
never = []) {
    const context = await contextOf(project, never);
    if (lines !== 'auto')
        return dataFromLines(lines, context);
    if (project.engine === null) {
        throw new errors/* CaretakerError */.xT('data-required', `failed to find the data of ${project.name}: it is run by commands, so there are no mounts to look at`, {
            hint: 'Say what to take in data, e.g. type=sqlite,path=./db.sqlite3 and type=directory,path=./media.',
            input: 'data',
        });
    }
    const { roots, leave } = await mountedRoots(context);
    const split = await splitDatabases(roots, [], context);
    const take = [...split.take, ...(await data_context_projectFiles(context))];
    if (take.length === 0) {
        throw new errors/* CaretakerError */.xT('data-none', `failed to find any data of ${project.name}: no service mounts something writable`, {
            hint: 'Say what to take in data.',
            input: 'data',
        });
    }
    // A small file that is mounted read-only is configuration, and goes with it.
    const members = take.flatMap((spec) => (spec.type === 'project-files' ? (spec.members ?? []) : []));
    const left = [...leave, ...split.leave].filter(({ what }) => !members.some((file) => what.startsWith(`${file} (`)));
    return { take, leave: left, notes: split.notes };
}
/** Every writable mounted tree once, outer ones before inner ones, and why the others are left. */
async function mountedRoots(context) {
    const { mounts, runtime } = context;
    const leave = mounts.missingVolumes.map((name) => ({ what: `volume ${name}`, why: 'it does not exist yet' }));
    const bySource = Map.groupBy(mounts.all, (mount) => (mount.source === '' ? mount.target : mount.source));
    const sorted = [...bySource].sort(([a], [b]) => a.length - b.length || a.localeCompare(b));
    const roots = [];
    for (const [path, own] of sorted) {
        const [first] = own;
        if (first === undefined)
            continue;
        const what = describe(path, own);
        const why = staticReason(path, own);
        if (why !== undefined) {
            leave.push({ what, why });
            continue;
        }
        // What lies in a tree that is taken goes with it.
        if (roots.some((root) => contains(root.path, path)))
            continue;
        if (first.volume !== undefined) {
            const info = await runtime?.volume(first.volume);
            if (info !== undefined && info !== null && info.driver !== 'local') {
                leave.push({ what, why: `its driver ${info.driver} keeps it elsewhere` });
                continue;
            }
        }
        const scan = await context.files.scan(path);
        const odd = scanReason(scan);
        if (odd !== undefined) {
            leave.push({ what, why: odd });
            continue;
        }
        // An anonymous volume is what an image declares as VOLUME; empty, it is nobody's data.
        if (isAnonymous(first) && scan.files === 0) {
            leave.push({ what, why: 'an anonymous volume with nothing in it' });
            continue;
        }
        roots.push({
            path,
            type: first.volume !== undefined ? 'volume' : scan.kind === 'file' ? 'file' : 'directory',
            volume: first.volume,
            names: namesOf(path, first, context),
            exclude: [],
            scan,
        });
    }
    return { roots, leave };
}

;// CONCATENATED MODULE: ./src/runtimes/tar-command.ts

const KEEP = ['--numeric-owner', '--xattrs', '--xattrs-include=*', '--acls'];
/**
 * GNU tar's command for what is in a directory (`./` first), for one file (`./BASENAME`), or for the members of a directory that standard input names
 * (ended by NUL each, without what is in them), to standard output.
 *
 * - pax: long names, big ids, times below a second, and anybody's tar reads it. Its headers keep neither access and change times,
 *   which nobody restores, nor this process's number.
 * - `exclude`: relative to the root, anchored there. A text without `*` is a name. `*` stands for anything within one name, `**` for
 *   any number of directories.
 */
function createArgv(root, kind, exclude) {
    const place = {
        directory: [root, '.'],
        file: [(0,external_node_path_.dirname)(root), `./${(0,external_node_path_.basename)(root)}`],
        // After the patterns, which must still stand for what lies below a directory.
        members: [root, '--no-recursion', '--null', '--verbatim-files-from', '--files-from=-'],
    }[kind];
    return [
        'tar',
        '--create',
        '--file=-',
        '--format=pax',
        '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime',
        ...KEEP,
        '--sparse',
        '--anchored',
        ...(kind === 'file' ? [] : exclude.flatMap(excludeOptions)),
        '--directory',
        ...place,
    ];
}
/** A name as a walk over a tree gives it. */
function memberName(name) {
    return Buffer.from(name).toString('latin1');
}
/** Names as a walk over a tree gives them (a character for each byte), as `--files-from` reads them. */
function membersOf(names) {
    return Buffer.from(names.map((name) => `./${name}\0`).join(''), 'latin1');
}
/** GNU tar's command that unpacks standard input into an existing directory, all as it was stored; without `owners`, as this user's own. */
function extractArgv(root, owners = true) {
    return [
        'tar',
        '--extract',
        '--file=-',
        owners ? '--same-owner' : '--no-same-owner',
        '--preserve-permissions',
        ...KEEP,
        // A directory may be stored as read-only, and files come into it later.
        '--delay-directory-restore',
        '--directory',
        root,
    ];
}
function excludeOptions(path) {
    const plain = path.replace(/^(?:\.\/)+/, '').replace(/\/+$/, '');
    if (plain === '' || plain === '.')
        return [];
    if (!plain.includes('*'))
        return ['--no-wildcards', `--exclude=./${plain}`];
    const pattern = plain.replaceAll(/[\\?[\]]/g, '\\$&');
    if (!pattern.includes('**'))
        return ['--wildcards', '--no-wildcards-match-slash', `--exclude=./${pattern}`];
    // To tar `**` is `*`: here it stands for any depth, none included.
    const forms = pattern.includes('**/') ? [pattern.replaceAll('**/', ''), pattern] : [pattern];
    return forms.flatMap((form) => [
        '--wildcards',
        '--wildcards-match-slash',
        `--exclude=./${form.replaceAll('**', '*')}`,
    ]);
}
/** What tar says, with exit code 1, of files that lived on while they were read. */
const LIVED_ON = /^tar: .*(?:file changed as we read it|file removed before we read it|file shrank by \d+ bytes)/i;
/**
 * The lines of warning in the message of a failed tar, if it failed for no other reason than that files changed or vanished meanwhile;
 * undefined where it is a real failure. (`ProcessStream` tells exit code and last words in its message only.)
 */
function onlyLivedOn(message) {
    // The first counts: a file's name may look like another.
    const match = /: exit code (\d+): ([^]*)$/.exec(message);
    if (match?.[1] !== '1')
        return undefined;
    // The words are the last of many: the first line may be cut. Anything else, e.g. a word of the engine's, is no warning of tar's.
    const lines = match[2].split('\n').filter((line) => line !== '');
    const told = lines.filter((line) => !/: socket ignored$/.test(line));
    const warnings = told.filter((line) => LIVED_ON.test(line));
    const foreign = told.slice(1).filter((line) => !LIVED_ON.test(line));
    return warnings.length > 0 && foreign.length === 0 ? warnings : undefined;
}

// EXTERNAL MODULE: external "node:stream/promises"
var external_node_stream_promises_ = __webpack_require__(46466);
;// CONCATENATED MODULE: ./src/sources/streams.ts




/** The same program with its output passed through a check, whose failure is the stream's. */
function checked(stream, check) {
    // Read from now on: when a child process exits, Node drops the output that nobody has begun to read.
    const held = (0,external_node_stream_.pipeline)(stream.stdout, new external_node_stream_.PassThrough(), () => undefined);
    const stdout = external_node_stream_.Readable.from(check(held), { objectMode: false });
    return { stdin: stream.stdin, stdout, done: stream.done, kill: () => stream.kill() };
}
/** Bytes made here, in the shape of a program's output. */
function streamOf(bytes) {
    const stdout = external_node_stream_.Readable.from(bytes, { objectMode: false });
    const done = (0,external_node_stream_promises_.finished)(stdout, { cleanup: true });
    done.catch(() => undefined); // Whoever reads the output sees the same error there.
    return { stdin: new external_node_stream_.PassThrough().resume(), stdout, done, kill: () => stdout.destroy() };
}
/**
 * Gives bytes to a program's standard input, and waits until it has ended well; its output is dropped. Bytes that turn
 * out to be bad kill the program, and their error is the one that counts; else the program's own words are.
 */
async function feed(stream, bytes) {
    const { stdin, stdout, done } = stream;
    stdout.resume();
    stdin.on('error', () => undefined); // The exit code tells whether it was right to close it.
    let failed = false;
    done.catch(() => {
        failed = true;
    });
    try {
        for await (const chunk of bytes) {
            if (failed)
                break;
            // tar ends at the end-of-archive mark and closes its input; what follows still has to be read, for the digest comes last.
            if (stdin.destroyed || !stdin.writable)
                continue;
            if (!stdin.write(chunk))
                await drained(stdin);
        }
    }
    catch (error) {
        // The program would take the end of its input for the end of the data.
        stream.kill();
        await done.catch(() => undefined);
        throw error;
    }
    stdin.end();
    await done;
}
function drained(stdin) {
    if (stdin.destroyed || !stdin.writableNeedDrain)
        return Promise.resolve();
    return new Promise((resolve) => {
        const over = () => {
            stdin.off('drain', over).off('close', over);
            resolve();
        };
        stdin.on('drain', over).on('close', over);
    });
}
/**
 * Unpacks a part's tar into the new directory `root` (with `over`, over what is in it). No header reaches the unpacking program before it was found
 * harmless: `part-hostile`, `part-damaged`. `disk-full` when it does not fit.
 */
async function unpack(files, root, bytes, handlers, options) {
    try {
        await feed(files.untar(root, options), checkTar(bytes, handlers));
    }
    catch (error) {
        if (!/no space left on device|disk quota exceeded/i.test((0,errors/* messageOf */.bD)(error)))
            throw error;
        throw new errors/* CaretakerError */.xT('disk-full', `failed to unpack into ${root}: no space left`, {
            hint: 'Free some space on that filesystem.',
            cause: error,
        });
    }
}
/** The first bytes of a file that only the containers' root may read. */
async function readHead(files, path, length) {
    const stream = files.tar(path, { live: true });
    stream.stdin.end();
    const pieces = [];
    let size = 0;
    const head = checkTar(stream.stdout, {
        onContent: (bytes) => {
            pieces.push(Buffer.from(bytes));
            size += bytes.length;
        },
    });
    let whole = true;
    for await (const chunk of head) {
        void chunk;
        if (size >= length) {
            whole = false;
            break;
        }
    }
    if (whole)
        await stream.done;
    else {
        stream.kill();
        await stream.done.catch(() => undefined); // Killed on purpose: the rest of a large file is not wanted.
    }
    if (size === 0) {
        throw new errors/* CaretakerError */.xT('file-empty', `failed to read ${path}: it is empty`, {
            hint: 'Look whether this is the file that the application uses.',
        });
    }
    return Buffer.concat(pieces).subarray(0, length);
}

;// CONCATENATED MODULE: ./src/sources/passes.ts


/** Whether a file of a part of files lists what went between two passes. */
function isRemovals({ file }) {
    return /\.removed\d+\.zst$/.test(file);
}
/**
 * Unpacks the files of a part into the new directory `root`, in their order: `tar`; then, where it was taken in several passes, for each of those `removed1`, whose members go, and
 * `changed1.tar`, which is unpacked over what is there.
 */
async function unpackPasses(files, root, part, read, handlers = {}) {
    const links = new Set();
    for (const [index, file] of part.files.entries()) {
        const over = index > 0;
        if (over && isRemovals(file)) {
            const removed = await removalsIn(read(file), part);
            await files.removeMembers(root, removed);
            for (const link of links)
                if (removed.some((name) => link === name || link.startsWith(`${name}/`)))
                    links.delete(link);
        }
        else {
            await unpack(files, root, read(file), { ...handlers, links }, { over });
        }
    }
}
/** More than any list that was written here. */
const MAX_LIST_BYTES = 4 * 1024 * 1024;
/** The names of a list of members, as `membersOf` made it. */
async function removalsIn(bytes, part) {
    const pieces = [];
    let size = 0;
    for await (const piece of bytes) {
        size += piece.length;
        if (size > MAX_LIST_BYTES)
            break;
        pieces.push(piece);
    }
    const names = Buffer.concat(pieces).toString('latin1').split('\0');
    if (size > MAX_LIST_BYTES || names.pop() !== '' || names.some((name) => !name.startsWith('./'))) {
        throw new errors/* CaretakerError */.xT('part-damaged', `failed to unpack ${part.name}: its list of what went is none`, {
            hint: 'Choose another backup.',
        });
    }
    return names.map((name) => name.slice(2));
}

;// CONCATENATED MODULE: ./src/sources/places.ts



/** Beside the live data: for files always, for directories where their parent lets us. */
function beside(live, run) {
    return placesIn((0,external_node_path_.dirname)(live), live, run);
}
/**
 * For a directory: beside it, or inside it where it can't be renamed, because something is mounted on it or its parent may not be
 * written; its contents are exchanged then.
 */
async function placesFor(files, live, run) {
    if (!(await files.exists(live)))
        return beside(live, run);
    if (await isMountPoint(live))
        return placesIn(live, live, run);
    const probe = `${beside(live, run).fresh}-probe`;
    try {
        await files.makeDirectory(probe, (0,external_node_path_.dirname)(live));
    }
    catch {
        // Why it can't be does not matter as long as there is another place; if that fails too, its error is thrown.
        return placesIn(live, live, run);
    }
    await files.remove([probe]);
    return beside(live, run);
}
/** Removes what `placesFor` may have led to; what lies aside stays. */
async function removeFresh(files, live, run) {
    const outside = beside(live, run).fresh;
    await files.remove([outside, `${outside}-probe`, placesIn(live, live, run).fresh]);
}
function placesIn(directory, live, run) {
    const short = shortName(live);
    return {
        fresh: (0,external_node_path_.join)(directory, `.caretaker-fresh-${run}-${short}`),
        aside: (0,external_node_path_.join)(directory, `.caretaker-aside-${run}-${short}`),
    };
}
/** Names end at 255 bytes. */
function shortName(live) {
    const name = (0,external_node_path_.basename)(live);
    return Buffer.byteLength(name) <= 100 ? name : (0,external_node_crypto_.createHash)('sha256').update(name).digest('hex').slice(0, 16);
}
/** What a name beside or in `live` stands for, of those that runs make for it; null for all others. */
function placeNamed(name, live) {
    const match = /^\.caretaker-(fresh|aside)-(\d{8}t\d{6}z-[0-9a-f]{4}(?:-back\d+)?)-(.+)$/.exec(name);
    if (match === null)
        return null;
    const [, kind, run = '', rest = ''] = match;
    const own = shortName(live);
    const more = rest.slice(own.length);
    if (!rest.startsWith(own) || !/^(-probe|(-\d+)?(\.caretaker-stray-\d+)?)?$/.test(more))
        return null;
    return { kind: more.startsWith('.') ? 'stray' : kind === 'fresh' ? 'fresh' : 'aside', run };
}
async function isMountPoint(path) {
    const table = await (0,promises_.readFile)('/proc/self/mountinfo', 'utf8').catch(() => ''); // Not Linux: the exchange itself will tell.
    const octal = (text) => text.replaceAll(/\\([0-7]{3})/g, (_, code) => String.fromCharCode(parseInt(code, 8)));
    return table.split('\n').some((line) => octal(line.split(' ')[4] ?? '') === path);
}
/** A new empty directory for a source's own working files, out of the way of the data; one of that name that was left over goes. */
async function stagingFor({ files, stateDirectory }, name) {
    const staging = (0,external_node_path_.join)(stateDirectory, 'staging');
    if (!(await files.exists(staging)))
        await files.makeDirectory(staging, stateDirectory);
    const directory = (0,external_node_path_.join)(staging, name);
    await files.remove([directory]);
    await files.makeDirectory(directory, stateDirectory);
    return directory;
}
/** `path` relative to `root` where it lies in it ('' for the root itself), else undefined. */
function within(root, path) {
    const rest = (0,external_node_path_.relative)(root, path);
    return rest === '..' || rest.startsWith('../') || (0,external_node_path_.isAbsolute)(rest) ? undefined : rest;
}
/** A source's origin as the manifest keeps it. */
function originOf(spec, project) {
    const relativePath = within(project.directory, spec.path);
    const exclude = 'exclude' in spec ? spec.exclude : [];
    return {
        ...(spec.service === undefined ? {} : { service: spec.service }),
        ...(spec.volume === undefined ? {} : { volume: spec.volume }),
        path: spec.path,
        ...(relativePath === undefined ? {} : { relativePath: relativePath === '' ? '.' : relativePath }),
        ...(spec.containerPath === undefined || spec.containerPath === '' ? {} : { containerPath: spec.containerPath }),
        ...(exclude.length === 0 ? {} : { exclude }),
    };
}

;// CONCATENATED MODULE: ./src/sources/paths.ts





/**
 * Looks for paths in the archives of a part of files, in the state that the last pass leaves. Throws `path-unknown`, with what comes near,
 * and `path-unfit` for a link or a pipe.
 */
async function findPaths(part, read, paths) {
    const wanted = (path) => paths.some((one) => within(`/${one}`, `/${path}`) !== undefined);
    const types = new Map();
    /** Where each hard link's content is, of the whole archive: a link may lead to a link. */
    const targets = new Map();
    const near = new Candidates(paths);
    let bytes = 0;
    const onMember = (member) => {
        near.see(member.path);
        if (member.target !== undefined)
            targets.set(member.path, member.target);
        if (paths.includes(member.path))
            types.set(member.path, member.type);
        if (wanted(member.path))
            bytes += member.size;
    };
    for (const file of part.files) {
        if (isRemovals(file)) {
            const removed = (await removalsIn(read(file), part)).map((name) => Buffer.from(name, 'latin1').toString());
            for (const path of paths)
                if (removed.some((name) => within(`/${name}`, `/${path}`) !== undefined))
                    types.delete(path);
        }
        else {
            for await (const chunk of checkTar(read(file), { onMember }))
                void chunk;
        }
    }
    const unknown = paths.filter((path) => !types.has(path));
    if (unknown.length > 0)
        throw pathUnknown(part, unknown, near);
    const found = paths.map((path) => {
        const type = types.get(path);
        if (type === 'directory')
            return { path, type };
        if (type === 'file' || type === 'hardlink')
            return { path, type: 'file' };
        throw pathUnfit(part, path, type === 'symlink' ? 'is a symbolic link there' : 'is neither a file nor a directory there');
    });
    const links = new Set();
    for (const start of [...targets.keys()].filter(wanted)) {
        for (let at = targets.get(start); at !== undefined && !wanted(at) && !links.has(at); at = targets.get(at))
            links.add(at);
    }
    const above = (path) => path === '' || paths.some((one) => one.startsWith(`${path}/`));
    return {
        paths: found,
        keep: ({ path }) => wanted(path) || above(path) || links.has(path),
        extras: [...new Set([...links].map((link) => topWithout(link, above)))],
        bytes,
    };
}
function pathUnfit(part, path, why) {
    return new errors/* CaretakerError */.xT('path-unfit', `failed to restore ${part.name}/${path} alone: it ${why}`, {
        input: 'only',
        hint: 'Nothing was touched. Restore a directory above it, or the whole part, or put it elsewhere by "to" and copy it by hand.',
    });
}
/** The uppermost directory of a path that is not one of those to be kept. */
function topWithout(path, kept) {
    const parent = external_node_path_.posix.dirname(path);
    return parent === '.' || kept(parent) ? path : topWithout(parent, kept);
}
function pathUnknown(part, unknown, near) {
    const left = (part.origin.exclude ?? []).filter((exclude) => unknown.some((path) => within(`/${exclude.replace(/(?:\/\*\*?)+$/, '')}`, `/${path}`) !== undefined));
    const hints = unknown.map((path) => near.hint(path));
    if (left.length > 0)
        hints.push(`${left.join(', ')} is left out of this part: a database in it is a part of its own.`);
    return new errors/* CaretakerError */.xT('path-unknown', `${part.name} does not hold ${unknown.join(', ')}`, {
        input: 'only',
        hint: `Paths are relative to ${part.origin.path} and taken literally. ${hints.join(' ')}`,
    });
}
const MAX_NAMES = 200;
const SHOWN = 8;
/** What an archive holds near the paths that somebody asked for. */
class Candidates {
    #paths;
    #children = new Map();
    #same = new Map();
    constructor(paths) {
        this.#paths = paths;
        for (const path of paths) {
            this.#same.set(path, new Set());
            for (let up = external_node_path_.posix.dirname(path);; up = external_node_path_.posix.dirname(up)) {
                this.#children.set(up, new Set());
                if (up === '.')
                    break;
            }
        }
    }
    see(member) {
        if (member === '')
            return;
        const children = this.#children.get(external_node_path_.posix.dirname(member));
        if (children !== undefined && children.size < MAX_NAMES)
            children.add(member);
        const name = external_node_path_.posix.basename(member).toLowerCase();
        for (const path of this.#paths) {
            if (external_node_path_.posix.basename(path).toLowerCase() === name && this.#same.get(path).size < SHOWN)
                this.#same.get(path).add(member);
        }
    }
    /** The same name elsewhere, and what lies in the nearest directory above that is there. */
    hint(path) {
        let up = external_node_path_.posix.dirname(path);
        while (up !== '.' && this.#children.get(up).size === 0)
            up = external_node_path_.posix.dirname(up);
        const rest = path.slice(up === '.' ? 0 : up.length + 1).toLowerCase();
        const beginning = (member) => common(external_node_path_.posix.basename(member).toLowerCase(), rest);
        const children = [...this.#children.get(up)].sort((one, other) => beginning(other) - beginning(one) || (one < other ? -1 : 1));
        const shown = [...new Set([...this.#same.get(path), ...children])].slice(0, SHOWN);
        return shown.length === 0 ? '' : `Near ${path} are: ${shown.join(', ')}.`;
    }
}
function common(one, other) {
    let length = 0;
    while (length < one.length && one[length] === other[length])
        length++;
    return length;
}

;// CONCATENATED MODULE: ./src/sources/two-passes.ts
/**
 * Two passes over files: the whole of them while the application serves, and nothing more where nothing has moved when the writers stand still. Where
 * something has, the whole anew: plain archives have no other form for it.
 */
async function warmUnlessChanged(files, roots, options, take) {
    const before = await files.fingerprint(roots, { ...options, settle: true });
    const capture = await take();
    return {
        streams: capture.streams,
        facts: capture.facts,
        finish: () => capture.finish(),
        async more(situation) {
            if (situation === 'serving')
                return [];
            return (await files.fingerprint(roots, options)) === before ? [] : 'anew';
        },
    };
}

;// CONCATENATED MODULE: ./src/sources/files.ts









/** Leftovers of interrupted restores. */
const OWN = '.caretaker-*';
/** A volume, a directory or a single file, as plain files. */
function filesSource(spec, kind, deps) {
    const { project, log } = deps;
    const { files } = project;
    const live = spec.path;
    // What this program keeps for itself lies in the project directory, which may be the part.
    const state = within(live, project.stateDirectory);
    const own = kind === 'file' ? [] : [OWN, ...(state === undefined || state === '' ? [] : [state])];
    const archive = (serving, more = {}) => files.tar(live, {
        ...more,
        exclude: [...spec.exclude, ...own],
        live: serving,
        onWarning: (line) => log.warn(`${spec.name}: ${line}`),
    });
    const capture = (situation) => Promise.resolve({
        streams: [
            {
                suffix: 'tar',
                open: () => archive(situation === 'serving'),
            },
        ],
        consistency: situation === 'serving' ? 'online' : situation,
        facts: {},
        finish: () => Promise.resolve(),
    });
    /** The whole while the application serves, and then what came, was written to, or went. */
    const warm = async () => {
        // A pattern that leaves something out is not applied: at worst a change is seen where there was none.
        const exclude = carried([...spec.exclude, ...own], '').carry;
        const directory = await stagingFor(project, `${deps.run}-files-${spec.name}`);
        const note = (0,external_node_path_.join)(directory, 'entries');
        try {
            await files.changes(live, { exclude, note, settle: true });
        }
        catch (error) {
            await files.remove([directory]);
            throw error;
        }
        const { streams, facts } = await capture('serving');
        let rounds = 0;
        // The note goes on with each call: what it could not tell once is lost to every later one.
        let lost = false;
        return {
            streams,
            facts,
            async more(situation) {
                const serving = situation === 'serving';
                const changes = await files.changes(live, { exclude, note, settle: serving });
                lost ||= changes === null;
                if (changes === null || lost)
                    return 'anew';
                const { changed, removed } = changes;
                if (changed.length + removed.length === 0)
                    return [];
                rounds++;
                const more = [];
                if (removed.length > 0)
                    more.push({ suffix: `removed${rounds}`, open: () => streamOf(external_node_stream_.Readable.from([membersOf(removed)])) });
                if (changed.length > 0)
                    more.push({ suffix: `changed${rounds}.tar`, open: () => archive(serving, { only: changed }) });
                return more;
            },
            finish: () => files.remove([directory]),
        };
    };
    const staying = (part, run, place) => {
        const excludes = [...new Set([...spec.exclude, ...(part.origin.exclude ?? []), ...own])];
        const { carry, patterns } = carried(excludes, run);
        for (const pattern of patterns) {
            log.warn(`${spec.name}: what matches ${pattern} is not in the backup; what of it lies in ${place} now goes aside with the rest`);
        }
        return carry;
    };
    /** What to exchange for a path: itself, or the uppermost directory above it that is not there now. '' for the part's root. */
    const exchanged = async (part, path) => {
        const names = path.split('/');
        const tops = ['', ...names.map((_, index) => names.slice(0, index + 1).join('/'))];
        const kinds = await files.kinds(live, tops);
        for (const [index, top] of tops.entries()) {
            const found = kinds[index];
            if (found === null)
                return top;
            if (index === 0)
                continue;
            const where = top === path ? 'is' : `lies behind ${top},`;
            if (found === 'link')
                throw pathUnfit(part, path, `${where} a symbolic link now`);
            if (top !== path && found !== 'directory')
                throw pathUnfit(part, path, `${where} no directory now`);
            if (await isMountPoint((0,external_node_path_.join)(live, top)))
                throw pathUnfit(part, path, `${where} a mount point now`);
        }
        return path;
    };
    return {
        name: spec.name,
        kind,
        method: 'files',
        origin: originOf(spec, project),
        writers: spec.writers,
        server: undefined,
        loads: false,
        describe: () => `${spec.name}: ${kind === 'volume' ? `volume ${spec.volume ?? ''}` : `${kind} ${live}`}`,
        estimate: async () => (await files.scan(live)).bytes,
        capture,
        warm: kind === 'file' ? () => warmUnlessChanged(files, [live], {}, () => capture('serving')) : warm,
        async stage(part, read, run) {
            const { fresh, aside } = kind === 'file' ? beside(live, run) : await placesFor(files, live, run);
            try {
                const members = [];
                const onMember = (member) => members.push(member.path);
                await unpackPasses(files, fresh, part, read, kind === 'file' ? { onMember } : {});
                if (kind === 'file') {
                    const [member] = members;
                    if (members.length !== 1 || member === undefined || member.includes('/')) {
                        throw new errors/* CaretakerError */.xT('part-damaged', `failed to unpack ${part.name}: it is not the archive of one file`, {
                            hint: 'Choose another backup.',
                        });
                    }
                    return [{ kind, live, fresh: (0,external_node_path_.join)(fresh, member), aside, carry: [] }];
                }
                const carry = staying(part, run, live);
                // Where the archive has an empty directory in the place of what is carried, there must be none.
                await files.remove(carry.map((path) => (0,external_node_path_.join)(fresh, path)));
                return [{ kind: 'directory', live, fresh, aside, carry }];
            }
            catch (error) {
                await files.remove([fresh]);
                throw error;
            }
        },
        ...(kind === 'file'
            ? {}
            : {
                async stagePaths(part, read, run, found) {
                    const { fresh, aside } = await placesFor(files, live, run);
                    const tops = new Map();
                    for (const { path, type } of found.paths) {
                        const top = await exchanged(part, path);
                        tops.set(top, top === path ? type : 'directory');
                    }
                    const swaps = [];
                    try {
                        await unpackPasses(files, fresh, part, read, { keep: found.keep });
                        await files.removeMembers(fresh, found.extras.map(memberName));
                        const stays = staying(part, run, found.paths.map(({ path }) => (0,external_node_path_.join)(live, path)).join(', '));
                        for (const [top, type] of tops) {
                            const carry = stays.flatMap((path) => within(top, path) || []);
                            await files.remove(carry.map((path) => (0,external_node_path_.join)(fresh, top, path)));
                            swaps.push({
                                ...{ kind: type === 'file' ? type : 'directory', live: (0,external_node_path_.join)(live, top), fresh: (0,external_node_path_.join)(fresh, top) },
                                ...{ aside: top === '' ? aside : `${aside}-${swaps.length + 1}`, carry, root: live },
                            });
                        }
                        return swaps;
                    }
                    catch (error) {
                        await files.remove([fresh]);
                        throw error;
                    }
                },
            }),
        discard: () => kind === 'file'
            ? files.removeMembers((0,external_node_path_.dirname)(live), [memberName((0,external_node_path_.basename)(live))])
            : files.empty(live, carried([...spec.exclude, ...own], '').carry),
        unstage: (run) => (kind === 'file' ? files.remove([beside(live, run).fresh]) : removeFresh(files, live, run)),
    };
}
/**
 * What a part leaves out belongs to other parts (a database file in the tree) or was excluded, and must survive an exchange of the
 * tree if it is there then: now does not matter, a `-wal` comes and goes. With it goes what waits beside it to be exchanged for it.
 * `dir/**` and `dir/*` stand for `dir`; other patterns can't be told from here.
 */
function carried(excludes, run) {
    const carry = new Set();
    const patterns = [];
    for (const exclude of excludes) {
        const path = exclude
            .replace(/(?:\/\*\*?)+$/, '')
            .replace(/^\.\//, '')
            .replace(/\/+$/, '');
        if (exclude === OWN)
            continue;
        if (path.includes('*'))
            patterns.push(exclude);
        else if (path !== '' && within('/', (0,external_node_path_.join)('/', path)) === path)
            carry.add(path);
    }
    // What lies below something that is carried goes with it.
    const roots = [...carry].filter((path) => ![...carry].some((other) => other !== path && within(other, path) !== undefined));
    return { carry: roots.flatMap((path) => [path, beside(path, run).fresh]).sort(), patterns };
}

;// CONCATENATED MODULE: ./src/sources/locate.ts



/**
 * Finds a part's place: by the service and the path in its container, then by the volume's name, then by the path relative to the project
 * directory, then by the absolute path where the project has it already (mounts, the plan). Creates the volume of a project that was never up here.
 *
 * `paths`: what inside it is exchanged; none for the whole. The manifest is not believed in: anybody who can store an artifact can write one, and `path: /etc` must not be written to. Only in a rollback
 * (`back`) it is this run's own, and the project's present state is what can't be believed.
 */
async function locate(part, deps, paths = []) {
    const { absent, ...place } = await find(part, deps, paths);
    if (absent === undefined)
        return place;
    return { ...place, path: (0,external_node_path_.join)(await createVolume(deps.project, absent, deps.run), place.path) };
}
/** Where a part's data would go, without making anything: a path, or the name of a volume that is not there yet. `part-homeless`. */
async function lookFor(part, deps) {
    const { absent, path } = await find(part, deps, []);
    return absent === undefined ? { path } : { volume: absent };
}
/** `absent`: the volume that is to be made, in which `path` is then. */
async function find(part, deps, paths) {
    const { project } = deps;
    const { origin } = part;
    const mounts = await mountsOf(project, deps.anew === true);
    const place = (path, known) => ({
        path,
        ...known,
        writers: locate_writersOf(path, mounts, paths),
    });
    const inAbsent = (volume, rest, known) => {
        const writers = mounts.filter((mount) => mount.writable && mount.volume === volume).map(({ service }) => service);
        return Promise.resolve({ path: rest, absent: volume, ...known, writers: [...new Set(writers)] });
    };
    // A volume that somebody removed meanwhile is made anew.
    if (deps.back === true && (origin.volume === undefined || (await project.files.exists(origin.path)))) {
        const { service, containerPath, volume } = origin;
        return place(origin.path, {
            ...(service === undefined ? {} : { service }),
            ...(containerPath === undefined ? {} : { containerPath }),
            ...(volume === undefined ? {} : { volume }),
        });
    }
    if (origin.service !== undefined && origin.containerPath !== undefined) {
        const { service, containerPath } = origin;
        const found = mounts
            .filter((mount) => mount.service === service && within(mount.target, containerPath) !== undefined)
            .sort((one, other) => other.target.length - one.target.length)[0];
        if (found !== undefined) {
            const rest = within(found.target, containerPath) ?? '';
            const where = { service, containerPath, ...(found.volume === undefined ? {} : { volume: found.volume }) };
            return found.source === undefined
                ? inAbsent(found.volume ?? '', rest, where)
                : place((0,external_node_path_.join)(found.source, rest), where);
        }
    }
    const known = {
        ...(origin.service === undefined ? {} : { service: origin.service }),
        ...(origin.containerPath === undefined ? {} : { containerPath: origin.containerPath }),
    };
    const { volume } = origin;
    // Only a volume that the project has: the name comes from outside.
    if (volume !== undefined && mounts.some((mount) => mount.volume === volume)) {
        const info = await project.engine?.runtime.volume(volume);
        const rest = restInVolume(origin.path, volume);
        return info === undefined || info === null
            ? inAbsent(volume, rest, { ...known, volume })
            : place((0,external_node_path_.join)(info.mountpoint, rest), { ...known, volume });
    }
    if (volume === undefined && origin.relativePath !== undefined)
        return place((0,external_node_path_.join)(project.directory, origin.relativePath), known);
    const homes = [
        project.directory,
        ...mounts.flatMap(({ source }) => (source === undefined ? [] : [source])),
        ...(deps.plan?.take ?? []).map(({ path }) => path),
    ];
    if (homes.some((home) => within(home, origin.path) !== undefined))
        return place(origin.path, known);
    throw new errors/* CaretakerError */.xT('part-homeless', `failed to find where ${part.name} belongs: ${project.name} has no ${origin.containerPath === undefined
        ? origin.path
        : `mount at ${origin.containerPath} in ${origin.service ?? 'a service'}`}`, {
        input: 'data',
        hint: 'Check that this is the right project and that its compose file mounts the data. For data outside the project, name their path in "data", or restore by hand with the RESTORE.md of the backup.',
    });
}
/** As the containers have them, and the compose file for services without one, as on an empty host; `anew`: the other way round. */
async function mountsOf(project, anew = false) {
    if (!anew) {
        const mounts = await mountsOfContainers(project);
        const seen = new Set(mounts.map(({ service }) => service));
        return [...mounts, ...(await mountsOfModel(project)).filter(({ service }) => !seen.has(service))];
    }
    const mounts = await mountsOfModel(project);
    const covered = ({ service, target }) => mounts.some((mount) => mount.service === service && within(mount.target, target) !== undefined);
    return [...mounts, ...(await mountsOfContainers(project)).filter((mount) => !covered(mount))];
}
async function mountsOfContainers(project) {
    const mounts = [];
    for (const container of await project.containers()) {
        if (container.oneOff)
            continue;
        for (const { type, source, target, writable, volume } of container.mounts) {
            if (type === 'bind' || type === 'volume')
                mounts.push({ service: container.service, target, writable, volume, source });
        }
    }
    return mounts;
}
async function mountsOfModel({ engine }) {
    if (engine === null)
        return [];
    const mounts = [];
    const model = await engine.compose.model();
    for (const service of model.services) {
        for (const { type, source, target, readOnly } of service.volumes) {
            if (type === 'bind') {
                mounts.push({ service: service.name, target, writable: !readOnly, volume: undefined, source });
            }
            else if (type === 'volume' && source !== '') {
                const name = model.volumes[source]?.name ?? source;
                const info = await engine.runtime.volume(name);
                mounts.push({ service: service.name, target, writable: !readOnly, volume: name, source: info?.mountpoint });
            }
        }
    }
    return mounts;
}
/** Says which run made it: what that run makes in vain it takes away again. */
const RUN_LABEL = 'compose-caretaker.run';
/** Makes a volume of the project as Compose would; answers with its mount point. One that is there stays as it is. */
async function createVolume(project, name, run) {
    const engine = project.engine;
    const { volumes } = await engine.compose.model();
    const [key, own] = Object.entries(volumes).find(([, volume]) => volume.name === name) ?? [name];
    const created = await engine.runtime.createVolume(name, {
        // Compose takes a volume for its own by these, and warns without them. An external one is nobody's.
        ...(own?.external === true ? {} : { 'com.docker.compose.project': project.name, 'com.docker.compose.volume': key }),
        [RUN_LABEL]: run,
    });
    return created.mountpoint;
}
/** `db/app.sqlite3` of `/var/lib/docker/volumes/shop_api-db/_data/db/app.sqlite3`. */
function restInVolume(path, volume) {
    const mark = `/${volume}/_data/`;
    const at = path.indexOf(mark);
    return at === -1 ? '' : path.slice(at + mark.length);
}
function locate_writersOf(path, mounts, paths) {
    const exchanged = paths.length === 0 ? [path] : paths.map((one) => (0,external_node_path_.join)(path, one));
    const touching = mounts.filter(({ source, writable }) => source !== undefined &&
        (exchanged.some((one) => within(one, source) !== undefined) ||
            (writable && (within(source, path) !== undefined || within(path, source) !== undefined))));
    return [...new Set(touching.map(({ service }) => service))];
}

;// CONCATENATED MODULE: ./src/sources/postgres-server.ts

const FACTS = `select json_build_object(
  'version', current_setting('server_version'),
  'number', current_setting('server_version_num')::int,
  'walLevel', current_setting('wal_level'),
  'walSenders', current_setting('max_wal_senders')::int,
  'replication', (select rolsuper or rolreplication from pg_roles where rolname = current_user),
  'tablespaces', (select coalesce(json_agg(spcname), '[]') from pg_tablespace where spcname not in ('pg_default', 'pg_global')),
  'databases', (select coalesce(json_agg(datname order by datname), '[]') from pg_database where datallowconn and not datistemplate),
  'switchesWal', has_function_privilege('pg_switch_wal()', 'execute') and not pg_is_in_recovery(),
  'locale', (select datcollate from pg_database where datname = current_database()))`;
/** The container of the service, in whatever state; null where there is none. */
async function serverContainer(project, service) {
    const containers = (await project.containers()).filter((one) => one.service === service && !one.oneOff);
    return containers.find(({ state }) => state === 'running') ?? containers[0] ?? null;
}
/**
 * Opens the server by whichever local way it grants: as the image's own user (local trust, or a password from the container's
 * environment), then as the operating system's `postgres` (peer). Throws `postgres-not-running`, `postgres-denied`.
 */
async function openServer(project, log, server) {
    const runtime = project.engine?.runtime;
    const container = await serverContainer(project, server.service);
    if (runtime === undefined || container?.state !== 'running') {
        throw new errors/* CaretakerError */.xT('postgres-not-running', `failed to reach the database server ${server.service}: it does not run`, {
            hint: `Start it (its log tells why it stopped), or take its data directory as files while it is down: type=postgres,service=${server.service},method=files.`,
        });
    }
    const password = await passwordOf(runtime, container);
    if (password !== undefined)
        log.mask(password);
    const env = {
        ...(password === undefined ? {} : { PGPASSWORD: password }),
        PGCONNECT_TIMEOUT: '30',
        LC_MESSAGES: 'C',
    };
    const refusals = [];
    for (const osUser of [undefined, 'postgres']) {
        for (const database of ['postgres', 'template1']) {
            const options = { env, ...(osUser === undefined ? {} : { user: osUser }) };
            const psql = ['psql', '-X', '-w', '-At', '-v', 'ON_ERROR_STOP=1', '-U', server.user, '-d', database];
            const result = await runtime.exec(container.id, [...psql, '-c', FACTS], {
                ...options,
                timeoutMs: 60_000,
                accept: [0, 1, 2, 3, 126, 127],
            });
            if (result.exitCode === 0) {
                return {
                    container,
                    facts: parseFacts(result.stdout, server.service),
                    psql,
                    stream: (argv) => runtime.execStream(container.id, argv, options),
                    run: (argv, input, timeoutMs) => runtime.exec(container.id, argv, {
                        ...options,
                        accept: ANY_CODE,
                        ...(input === undefined ? {} : { input }),
                        ...(timeoutMs === undefined ? {} : { timeoutMs }),
                    }),
                };
            }
            refusals.push(lastLine(result.stderr) || `psql ended with code ${result.exitCode}`);
        }
    }
    throw new errors/* CaretakerError */.xT('postgres-denied', `failed to log in to the database server ${server.service} as ${server.user}: ${[...new Set(refusals)].join('; ')}`, {
        hint: `The server must let ${server.user} in over its local socket: by trust or peer in pg_hba.conf, or with the password in the container's POSTGRES_PASSWORD.`,
    });
}
const ANY_CODE = Array.from({ length: 256 }, (_, code) => code);
/** Of the image's environment; a secret mounted as a file is read where it is. */
async function passwordOf(runtime, container) {
    const { env } = container;
    const plain = env['POSTGRES_PASSWORD'] ?? env['POSTGRESQL_PASSWORD'] ?? env['PGPASSWORD'];
    if (plain !== undefined && plain !== '')
        return plain;
    const file = env['POSTGRES_PASSWORD_FILE'] ?? env['POSTGRESQL_PASSWORD_FILE'];
    if (file === undefined || file === '')
        return undefined;
    const { exitCode, stdout } = await runtime.exec(container.id, ['cat', '--', file], {
        accept: ANY_CODE,
        timeoutMs: 30_000,
    });
    // Without it the other ways may still work; the server's own refusal is what is reported.
    return exitCode === 0 && stdout.trim() !== '' ? stdout.replace(/\n$/, '') : undefined;
}
function parseFacts(stdout, service) {
    try {
        const { number, ...facts } = JSON.parse(stdout);
        return { ...facts, major: Math.floor(number / 10_000) };
    }
    catch (error) {
        throw new errors/* CaretakerError */.xT('postgres-denied', `failed to ask the database server ${service} what it is: ${(0,errors/* messageOf */.bD)(error)}`, {
            hint: 'PostgreSQL 10 or newer is needed.',
            cause: error,
        });
    }
}
/**
 * The major version of the server that a service's container runs or would run; undefined where nothing tells.
 * Works on a stopped container, or none, too as long as the image says it (`PG_MAJOR`, as the official one does).
 */
async function serverMajor(project, service) {
    const container = await serverContainer(project, service);
    if (container === null) {
        const model = await project.engine?.compose.model();
        const image = model?.services.find(({ name }) => name === service)?.image ?? null;
        return image === null ? undefined : imageMajor(project, image);
    }
    if (container.state === 'running' && project.engine !== null) {
        const { exitCode, stdout } = await project.engine.runtime.exec(container.id, ['postgres', '--version'], {
            accept: ANY_CODE,
            timeoutMs: 30_000,
        });
        const major = /\b(\d+)(?:\.|devel|beta|rc)/.exec(stdout)?.[1];
        if (exitCode === 0 && major !== undefined)
            return Number(major);
    }
    return majorOf(container.env['PG_MAJOR']);
}
/** The major version of the server in an image that is here; by its name where the image does not tell. Undefined where nothing does. */
async function imageMajor(project, image) {
    const environment = await project.engine?.runtime.imageEnvironment(image);
    return majorOf(environment?.['PG_MAJOR']) ?? majorInTag(image);
}
function majorOf(text) {
    const found = /^\d+/.exec(text ?? '')?.[0];
    return found === undefined ? undefined : Number(found);
}
/** `postgres:18-alpine`, `pgvector/pgvector:pg18`, `timescale/timescaledb:2.17.2-pg18`: where an image itself does not tell. */
function majorInTag(image) {
    const [, name = '', tag = ''] = /([^/:@]+)(?::([^@/]*))?(?:@.*)?$/.exec(image) ?? [];
    return majorOf(/(?:^|-)pg(\d+)/.exec(tag)?.[1] ?? (/^postg(?:res|is)/.test(name) ? tag : undefined));
}
/** A database's name as libpq takes it whole: a bare name with `=` in it would be read as connection settings. */
function conninfo(database) {
    return `dbname='${database.replaceAll(/[\\']/g, String.raw `\$&`)}'`;
}
function lastLine(text) {
    return text.trim().split('\n').at(-1)?.trim() ?? '';
}

;// CONCATENATED MODULE: ./src/sources/postgres-load.ts




/** A first start makes the cluster, and runs the image's own scripts. */
const READY_SECONDS = 180;
/** Roles and settings; thousands of roles fit. */
const MAX_GLOBALS_BYTES = 32 * 1024 * 1024;
const DUPLICATE_OBJECT = '42710';
/**
 * Loads a dump into a server that was started alone: roles and settings first, then every database, each dropped where it is there
 * and created as it was. Throws `postgres-not-ready` and `postgres-load-failed` with the server's words.
 */
async function loadDump(part, read, spec, deps) {
    await waitReady(spec, deps);
    const server = await openServer(deps.project, deps.log, spec);
    const globals = await postgres_load_text(read(fileOf(part, 'globals.sql')));
    const psql = [
        'psql',
        '-X',
        '-q',
        '-w',
        '-v',
        'VERBOSITY=verbose',
        '-U',
        spec.user,
        '-d',
        'template1',
        '-f',
        '-',
    ];
    const result = await server.run([...psql], globals);
    const real = result.stderr.split('\n').filter(isError);
    if (result.exitCode !== 0 || real.length > 0) {
        throw failed('roles and settings', spec, real[0] ?? lastLine(result.stderr));
    }
    for (const database of part.postgres?.databases ?? []) {
        deps.log.info(`${spec.name}: loading database ${database}`);
        // Connected to template1, since what is restored may be "postgres" itself.
        const restore = server.stream([
            'pg_restore', '-w', '-U', spec.user, '--exit-on-error', '--clean', '--if-exists', '--create', '-d', 'template1',
        ]); // prettier-ignore
        try {
            await feed(restore, read(fileOf(part, dumpSuffix(database))));
        }
        catch (error) {
            if (error instanceof errors/* CaretakerError */.xT && error.code.startsWith('part-'))
                throw error;
            throw failed(`database ${database}`, spec, (0,errors/* messageOf */.bD)(error), error);
        }
    }
}
/**
 * psql's line for an error that counts: `psql:<stdin>:14: ERROR:  42710: role "postgres" already exists`. By its code, since
 * words may be translated. The role that the image made is in the dump as well, so what is there already is no error.
 */
function isError(line) {
    const code = /^psql:.*?:\d+: \S+: +([0-9A-Z]{5}): /.exec(line)?.[1];
    return code !== undefined && code !== DUPLICATE_OBJECT && !code.startsWith('00') && !code.startsWith('01');
}
/** A first start runs a server for the set-up that listens on no port: only a port that answers is the real one. */
async function waitReady(spec, { project, clock, log }) {
    const until = clock.monotonic() + READY_SECONDS * 1000;
    let seen = 'it does not run';
    for (;;) {
        const container = await serverContainer(project, spec.service);
        if (container?.state === 'running' && project.engine !== null) {
            const { exitCode, stdout, stderr } = await project.engine.runtime.exec(container.id, ['pg_isready', '-h', '127.0.0.1', '-t', '5'], {
                accept: [0, 1, 2, 3, 126, 127, 137],
                timeoutMs: 30_000,
            });
            if (exitCode === 0)
                return;
            seen = lastLine(stdout) || lastLine(stderr);
        }
        else if (container !== null) {
            seen = `its container is ${container.state}`;
        }
        if (clock.monotonic() > until)
            break;
        log.debug(`${spec.service}: ${seen}`);
        await clock.sleep(1000);
    }
    throw new errors/* CaretakerError */.xT('postgres-not-ready', `failed to reach the new server of ${spec.service} within ${READY_SECONDS} s: ${seen}`, {
        hint: 'Its log tells what it waits for. It must listen on 127.0.0.1 in its container.',
    });
}
function fileOf(part, suffix) {
    const file = part.files.find((one) => one.file.endsWith(`.${part.name}.${suffix}.zst`));
    if (file === undefined) {
        throw new errors/* CaretakerError */.xT('part-missing', `failed to find ${suffix} in part ${part.name}`, {
            hint: 'The backup is incomplete: choose another.',
        });
    }
    return file;
}
async function postgres_load_text(bytes) {
    const pieces = [];
    let size = 0;
    for await (const piece of bytes) {
        pieces.push(Buffer.from(piece));
        size += piece.length;
        if (size > MAX_GLOBALS_BYTES) {
            throw new errors/* CaretakerError */.xT('part-damaged', 'failed to read the roles and settings: there is more than any server has', {
                hint: 'Choose another backup.',
            });
        }
    }
    return Buffer.concat(pieces).toString('utf8');
}
function failed(what, spec, why, cause) {
    return new errors/* CaretakerError */.xT('postgres-load-failed', `failed to load ${what} into ${spec.service}: ${why}`, {
        hint: 'The data from before are put back. Load the dump by hand into a server of your own to see more: RESTORE.md has the commands.',
        cause,
    });
}

;// CONCATENATED MODULE: ./src/sources/postgres-locale.ts


/** PostgreSQL makes these itself. */
const EVERYWHERE = ['C', 'POSIX'];
/**
 * A server whose operating system does not know the locale of its databases lets nobody in. The one that runs is of the image that is going to run on the
 * restored data; where none runs, only the start tells. `postgres-locale`.
 */
async function refuseLocale(part, { project, log }, spec) {
    const locale = part.postgres?.locale;
    if (locale === undefined || EVERYWHERE.includes(locale))
        return;
    if ((await serverContainer(project, spec.service))?.state !== 'running')
        return;
    const server = await openServer(project, log, spec).catch((error) => {
        log.info(`${part.name}: nobody can be asked whether ${spec.service} knows the locale ${locale}: ${(0,errors/* messageOf */.bD)(error)}`);
        return null;
    });
    if (server === null)
        return;
    // A setting that takes what the operating system knows and nothing else.
    const sql = "begin; set local lc_monetary = :'locale'; rollback;";
    const { exitCode, stderr } = await server.run([...server.psql, '-q', '-v', `locale=${locale}`], sql);
    if (exitCode === 0 || !stderr.includes('lc_monetary'))
        return;
    throw new errors/* CaretakerError */.xT('postgres-locale', `failed to restore ${part.name}: its databases have the locale ${locale}, which the image of ${spec.service} does not know`, {
        hint: 'Its server would let nobody in. Use the image that the backup was taken with (with-code: true brings it), or one that has the locale.',
    });
}
const MISMATCHES = `select coalesce(json_agg(json_build_object(
  'database', datname, 'was', datcollversion, 'is', pg_database_collation_actual_version(oid)) order by datname), '[]')
  from pg_database where datallowconn and datcollversion is distinct from pg_database_collation_actual_version(oid)`;
/**
 * Files of a server carry its order of texts in their indexes. Where the operating system orders otherwise (another version of glibc; musl in the place of glibc), a server
 * starts on them and gives wrong answers. Before PostgreSQL 15 nothing tells.
 */
async function orderDoubts(server, service) {
    if (server.facts.major < 15)
        return [];
    const { exitCode, stdout } = await server.run([...server.psql, '-c', MISMATCHES]);
    if (exitCode !== 0)
        return [];
    const found = JSON.parse(stdout).filter(({ database }) => database !== 'template1');
    return found.map(({ database, was, is }) => {
        const name = `"${database.replaceAll('"', '""')}"`;
        return `${service}: the indexes on texts of the database ${database} were made with ${versionOf(was)}, and the image has ${versionOf(is)}: they may miss rows or let duplicates in. In it: REINDEX DATABASE ${name}; ALTER DATABASE ${name} REFRESH COLLATION VERSION;`;
    });
}
/** musl's order has no version. */
function versionOf(version) {
    return version === null ? 'an order without a version (of musl)' : `version ${version} of the system's order`;
}

;// CONCATENATED MODULE: ./src/sources/postgres-rows.ts



/** Not the role's or the server's own limits: a dump takes its time. A lock that is not to be had soon is not waited for. */
const BEGIN = `
set client_encoding = 'UTF8'; set search_path = pg_catalog; set row_security = off;
set idle_in_transaction_session_timeout = 0; set lock_timeout = '1min'; set statement_timeout = '6h';
select set_config('transaction_timeout', '0', false) where current_setting('server_version_num')::int >= 170000;
begin transaction isolation level repeatable read read only;
select 'session ' || pg_backend_pid();
select 'snapshot ' || pg_export_snapshot();
`;
/** Not what comes with an extension, nor a materialized view: a restore makes their rows anew. */
const TABLES = `
with tables as (
  select nspname, relname from pg_class c join pg_namespace n on n.oid = relnamespace
  where relkind = 'r' and nspname !~ '^pg_' and nspname <> 'information_schema'
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'))`;
/**
 * Locked at once, so that no table is emptied before it is counted (TRUNCATE empties it for old snapshots too), or not at all. What a count
 * locks besides, the indexes of each table, is let go of after it: a server has room for so many locks only.
 */
const countSql = (limit) => `
${TABLES} select format('lock table only %I.%I in access share mode nowait', nspname, relname) from tables
  where (select count(*) from tables) <= ${limit} \\gexec
${TABLES} select 'savepoint one', format('select json_build_array(%L, count(*)) from only %I.%I', nspname || '.' || relname, nspname, relname),
    'rollback to one', 'release one' from tables
  where (select count(*) from tables) <= ${limit} \\gexec
${TABLES} select 'tables ' || count(*) from tables;
`;
/** Throws `postgres-rows` where the server lets none be taken. */
async function openSnapshot(access, database) {
    const session = access.stream([...access.psql, '-q', '-d', conninfo(database)]);
    session.done.catch(() => undefined);
    session.stdin.on('error', () => undefined); // It has ended: its output tells.
    const lines = linesOf(session.stdout);
    /** What comes before the line that begins with `mark`, and the rest of that. */
    const until = async (mark) => {
        const before = [];
        for (;;) {
            const next = await lines.next();
            if (next.done === true)
                break;
            if (next.value.startsWith(mark))
                return [before, next.value.slice(mark.length)];
            before.push(next.value);
        }
        session.stdin.end();
        const why = await session.done.then(() => 'the session ended', (error) => {
            const words = (0,errors/* messageOf */.bD)(error);
            return /(?:ERROR|FATAL): .*/.exec(words)?.[0] ?? lastLine(words);
        });
        throw notCounted(database, why);
    };
    let pid = '';
    let isCounting = false;
    const end = async () => {
        session.stdin.end();
        if (isCounting) {
            // Neither the end of its input nor that of the engine's client ends a program that waits for the server.
            await access.run([...access.psql, '-c', `select pg_terminate_backend(${pid})`]).catch(() => undefined);
            session.kill();
        }
        await session.done.catch(() => undefined);
    };
    try {
        session.stdin.write(BEGIN);
        [, pid] = await until('session ');
        const [, id] = await until('snapshot ');
        return {
            id,
            async count(limit) {
                session.stdin.write(countSql(limit));
                isCounting = true;
                const [counted, tables] = await until('tables ');
                isCounting = false;
                if (Number(tables) > limit)
                    throw notCounted(database, `it has ${tables} tables, and there is room for ${limit}`);
                return Object.fromEntries(counted.map((line) => JSON.parse(line)));
            },
            end,
        };
    }
    catch (error) {
        await end();
        throw error;
    }
}
function notCounted(database, why) {
    return new errors/* CaretakerError */.xT('postgres-rows', `failed to count the rows of database ${database}: ${why}`, {
        hint: 'A dump is complete without it; a drill can prove less of it.',
    });
}
/**
 * A dump of one database by `argv`, and beside it the rows of all that it dumps. Where they can't be counted (a standby may not, or a role), it is a
 * dump without.
 */
function countedDump(access, database, argv, counting) {
    let dump;
    let isWanted = true;
    const unlessUncounted = async (work) => {
        try {
            return await work;
        }
        catch (error) {
            if (!(error instanceof errors/* CaretakerError */.xT && error.code === 'postgres-rows'))
                throw error;
            if (isWanted)
                counting.onUncounted(error);
            return undefined;
        }
    };
    const bytes = async function* () {
        const snapshot = await unlessUncounted(openSnapshot(access, database));
        let rows;
        try {
            if (!isWanted)
                return;
            const same = snapshot === undefined ? [] : [`--snapshot=${snapshot.id}`];
            dump = access.stream([...argv, ...same, '-d', conninfo(database)]);
            dump.stdin.end();
            for await (const chunk of dump.stdout) {
                rows ??= snapshot && unlessUncounted(snapshot.count(counting.limit()));
                // Whatever it is, it is awaited below, or the dump's own failure counts.
                rows?.catch(() => undefined);
                yield chunk;
            }
            await dump.done;
            const counted = await rows;
            if (counted !== undefined)
                counting.onRows(counted);
        }
        finally {
            isWanted = false;
            dump?.kill();
            await snapshot?.end();
        }
    };
    const stream = streamOf(bytes());
    const kill = () => {
        isWanted = false;
        dump?.kill();
        stream.kill();
    };
    return { ...stream, kill };
}
async function* linesOf(output) {
    const decoder = new TextDecoder();
    let rest = '';
    try {
        for await (const chunk of output) {
            const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
            rest = lines.pop() ?? '';
            yield* lines;
        }
    }
    catch {
        // How the program ended tells why.
    }
    return undefined;
}

;// CONCATENATED MODULE: ./src/sources/proofs.ts

/** Of what is wrong, as many as a reader can use. */
const TOLD = 10;
/** `why` completes "failed to prove NAME: ". */
function disproved(part, why, cause) {
    return new errors/* CaretakerError */.xT('drill-failed', `failed to prove ${part.name}: ${why}`, {
        hint: 'This backup does not hold what it should. Take a new one now, and look through the earlier ones with further drills.',
        ...(cause === undefined ? {} : { cause }),
    });
}
/** A line that says that `where` has as many rows in every table as were noted. Throws `drill-failed`, naming the tables. */
function provenRows(part, where, noted, found) {
    if (noted === undefined || found === undefined)
        return `${where}: not proven: its rows were not counted when the backup was taken`;
    const wrong = Object.entries(noted).flatMap(([table, rows]) => {
        const now = Object.hasOwn(found, table) ? found[table] : undefined;
        if (now === undefined)
            return [`${table} is missing (${rows} rows)`];
        return now === rows ? [] : [`${table} has ${now} rows instead of ${rows}`];
    });
    if (wrong.length > 0)
        throw disproved(part, `${where}: ${listed(wrong)}`);
    const total = Object.values(noted).reduce((sum, rows) => sum + rows, 0);
    return `${where}: ${total} rows in ${Object.keys(noted).length} tables, as many in each as when the backup was taken`;
}
function listed(lines) {
    const more = lines.length - TOLD;
    return [...lines.slice(0, TOLD), ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

;// CONCATENATED MODULE: ./src/sources/postgres-proofs.ts





/** For each look at a whole database: more than any takes that fits a drill. */
const LOOK_MS = 6 * 60 * 60 * 1000;
/** The shell's words for "no such program". */
const ABSENT = [126, 127];
/** The shell's code for a program that a signal ended is this and the signal's number. */
const KILLED = 128;
/**
 * A file for file comparison with what the server said when it sent them. A page of zeros, which is valid to a server, is found here and nowhere else. With `wal` all of the WAL is
 * read as well: a server takes the first record that it can't read for the end.
 */
const VERIFY = `
command -v pg_verifybackup >/dev/null || exit 127
pg_verifybackup --quiet /restored || exit 1
test "$1" = wal || exit 0
set -- $(ls /restored/pg_wal | grep -E '^[0-9A-F]{24}$' | sort | sed -n '1p;$p')
pg_waldump --quiet --path=/restored/pg_wal "$1" "\${2:-$1}"`;
/** What sorts text by rules of another version than when it was written: indexes on it may be in the wrong order. */
const COLLATIONS = (major) => `
select (select count(*) from pg_collation where collversion <> pg_collation_actual_version(oid))${major < 15
    ? ''
    : ` + (select count(*) from pg_database where datname = current_database() and datcollversion <> pg_database_collation_actual_version(oid))`}`;
function postgresProofs(spec, deps) {
    const { project, log } = deps;
    return {
        async resting(part) {
            if (part.method === 'dump')
                return [];
            const said = (line) => [`${part.name}: ${line}`];
            if (part.method !== 'physical')
                return said('not proven: files of a stopped server have no list of checksums beside them');
            if ((part.postgres?.major ?? 0) < 13)
                return said('not proven: a base backup has a list of checksums from PostgreSQL 13 on');
            const image = await imageOf(project, spec.service);
            if (image === null)
                return said(`not proven: the image of ${spec.service} is not on this host`);
            // Without a tail the last segment of a standby need not be whole, and pg_verifybackup reads what is needed of it.
            const wal = part.files.length > 1;
            const result = await project.engine.runtime.runOnce(image, ['sh', '-c', VERIFY, 'sh', wal ? 'wal' : ''], {
                mounts: [{ source: spec.path, target: '/restored' }],
                accept: [0, 1, ...ABSENT],
                timeoutMs: LOOK_MS,
            });
            if (ABSENT.includes(result.exitCode))
                return said(`not proven: the image of ${spec.service} has no pg_verifybackup`);
            if (result.exitCode !== 0)
                throw disproved(part, wrongIn(result));
            return said(`every file is what the server sent (pg_verifybackup)${wal ? ', and all of its WAL can be read' : ''}`);
        },
        async serving(part) {
            await waitReady(spec, deps);
            const server = await openServer(project, log, spec);
            const noted = part.postgres?.databases ?? [];
            const databases = noted.length > 0 ? noted : server.facts.databases;
            const missing = databases.filter((database) => !server.facts.databases.includes(database));
            if (missing.length > 0)
                throw disproved(part, `database ${listed(missing)} is missing`);
            const lines = [];
            for (const database of databases) {
                log.info(`${part.name}: looking through database ${database}`);
                lines.push(...(await look(part, server, database)));
            }
            return lines;
        },
    };
    async function look(part, server, database) {
        const where = `${part.name}, database ${database}`;
        const ask = async (sql) => {
            const psql = [...server.psql, '-d', conninfo(database), '-c', sql];
            const result = whole(await server.run(psql, undefined, LOOK_MS), where);
            if (result.exitCode !== 0)
                throw disproved(part, `${where}: ${wrongIn(result)}`);
            return result.stdout.trim();
        };
        const others = Number(await ask(COLLATIONS(server.facts.major)));
        const lines = others === 0
            ? []
            : [
                `${where}: ${others} collations are of another version than when the data were written; indexes on text may need REINDEX`,
            ];
        const dump = ['pg_dump', '-w', '-U', spec.user, '-f', '/dev/null', '-d', conninfo(database)];
        const read = whole(await server.run(dump, undefined, LOOK_MS), where);
        if (read.exitCode !== 0)
            throw disproved(part, `${where} can't be read: ${wrongIn(read)}`);
        const sums = (await ask('show data_checksums')) === 'on';
        lines.push(`${where}: every row can be read${sums ? ', and every page read has the right checksum' : ''}`);
        const rows = part.postgres?.rows;
        const counts = rows !== undefined && Object.hasOwn(rows, database) ? rows[database] : undefined;
        if (counts !== undefined)
            lines.push(provenRows(part, where, counts, await count(part, server, database)));
        else if (part.method === 'dump')
            lines.push(provenRows(part, where, undefined, undefined));
        lines.push(await amcheck(part, server, database, where));
        return lines;
    }
    async function amcheck(part, server, database, where) {
        const argv = [
            'pg_amcheck',
            '-w',
            '-U',
            spec.user,
            '--install-missing',
            '--heapallindexed',
            conninfo(database),
        ];
        const result = await server.run(argv, undefined, LOOK_MS);
        if (result.exitCode === 0)
            return `${where}: tables and indexes fit each other (amcheck)`;
        // Its own code for what it found.
        if (result.exitCode === 2)
            throw disproved(part, `${where}: ${wrongIn(result)}`);
        const why = ABSENT.includes(result.exitCode) ? 'the image has no pg_amcheck' : lastLine(result.stderr);
        return `${where}: not proven by amcheck: ${why}`;
    }
}
async function count(part, server, database) {
    try {
        const snapshot = await openSnapshot(server, database);
        try {
            return await snapshot.count(Number.MAX_SAFE_INTEGER);
        }
        finally {
            await snapshot.end();
        }
    }
    catch (error) {
        if (error instanceof errors/* CaretakerError */.xT && error.code === 'postgres-rows')
            throw disproved(part, error.message, error);
        throw error;
    }
}
/** A program that was killed, by a lack of memory perhaps, found nothing: `engine-failed`. */
function whole(result, where) {
    if (result.exitCode <= KILLED)
        return result;
    throw new errors/* CaretakerError */.xT('engine-failed', `failed to look through ${where}: ended by signal ${result.exitCode - KILLED}`, {
        hint: 'Nothing was found wrong with the backup. Has the host enough memory for a throwaway? Run the drill again.',
    });
}
/** What a program found, in its own words. */
function wrongIn({ exitCode, stdout, stderr }) {
    const lines = `${stdout}\n${stderr}`.split('\n').map((line) => line.trim()).filter((line) => line !== ''); // prettier-ignore
    return lines.length === 0 ? `exit code ${exitCode}` : listed(lines);
}
/** The image that serves these data, or would; null where this host has none. */
async function imageOf(project, service) {
    const { engine } = project;
    if (engine === null)
        return null;
    const container = await serverContainer(project, service);
    if (container !== null)
        return container.imageId;
    const found = (await engine.compose.model()).services.find(({ name }) => name === service);
    if (found === undefined)
        return null;
    return engine.runtime.imageId(found.image ?? `${project.name}${engine.compose.dialect.capabilities.imageSeparator}${service}`);
}

;// CONCATENATED MODULE: ./src/sources/postgres-wal.ts




/** `TTTTTTTTXXXXXXXXYYYYYYYY`: timeline, and the position counted in segments. https://www.postgresql.org/docs/current/wal-internals.html */
const SEGMENT = /^[0-9A-F]{24}$/;
const MEMBER = /^pg_wal\/([0-9A-F]{24})$/;
/** True for what a tail may hold: WAL, nothing else of a cluster. */
function isWalMember({ path, type }) {
    return type === 'file' && MEMBER.test(path);
}
/** What of a base backup's archive says where its WAL ends and whose its files are; fed with its members. */
class BaseEnd {
    segment = '';
    member;
    note(member) {
        const [, segment = ''] = MEMBER.exec(member.path) ?? [];
        if (segment <= this.segment)
            return;
        this.segment = segment;
        this.member = member;
    }
}
/**
 * A session that keeps the server from removing WAL: a temporary replication slot, which goes with the session, and the session goes with this
 * process. Throws `postgres-slot` where the server gives none.
 */
async function holdWal(access, slot) {
    const session = access.stream(access.psql);
    session.done.catch(() => undefined);
    session.stdin.on('error', () => undefined); // It has ended: its output, or the missing segment, tells.
    // Should this process be gone without the server noticing: PostgreSQL 14 and newer end the session after that time.
    session.stdin.write(`select set_config('idle_session_timeout', '12h', false) where current_setting('server_version_num')::int >= 140000;\n` +
        `select 'slot ' || slot_name from pg_create_physical_replication_slot('${slot}', true, true);\n`);
    const isHeld = await new Promise((resolve) => {
        let said = '';
        session.stdout.on('data', (chunk) => {
            said += String(chunk);
            if (/^slot /m.test(said))
                resolve(true);
        });
        session.stdout.once('error', () => resolve(false)).once('close', () => resolve(false));
    });
    const end = async () => {
        session.stdin.end();
        await session.done;
    };
    // However the session ended, with it went the slot.
    if (isHeld)
        return () => end().catch(() => undefined);
    const why = await end().then(() => 'the session ended', (error) => {
        const words = (0,errors/* messageOf */.bD)(error);
        return /ERROR: .*/.exec(words)?.[0] ?? lastLine(words);
    });
    throw noSlot(why);
}
/** Nothing that must end the run: the copy is made while the application stands still then. */
function noSlot(why) {
    return new errors/* CaretakerError */.xT('postgres-slot', `failed to keep the server's WAL by a replication slot: ${why}`, {
        hint: 'Raise max_replication_slots by one; the role must be allowed to call pg_switch_wal.',
    });
}
/**
 * The WAL from behind `after` up to this moment, in whole segments, as an archive that is unpacked over the base backup: a server that starts on both
 * replays all of it. Null where nothing was written. Throws `postgres-wal-gone` where a segment is missing.
 */
async function walTail(access, after, model, suffix) {
    const { exitCode, stdout, stderr } = await access.run([
        ...access.psql,
        '-c',
        // A switch writes out all that is committed, with synchronous_commit=off too.
        `select json_build_object('end', switched.lsn, 'name', pg_walfile_name(switched.lsn), 'bytes', pg_size_bytes(current_setting('wal_segment_size')), 'directory', current_setting('data_directory')) from pg_switch_wal() as switched (lsn)`,
    ]);
    if (exitCode !== 0)
        throw walGone(`pg_switch_wal: ${lastLine(stderr)}`);
    const { end, name, bytes, directory } = JSON.parse(stdout);
    const last = segmentBefore(end, name.slice(0, 8), bytes);
    const names = segmentsBetween(after, last, bytes);
    if (names.length === 0)
        return null;
    const open = () => {
        const content = access.stream(['cat', '--', ...names.map((name) => `${directory}/pg_wal/${name}`)]);
        content.stdin.end();
        return streamOf(archive(content.stdout, names, bytes, model, () => content.done));
    };
    return { stream: { suffix, open }, last };
}
/**
 * The segment that holds the byte before `lsn` (`16/B374D848`). Not pg_walfile_name: between two segments it means the earlier one up to
 * PostgreSQL 16 and the later one, which need not be there yet, from 17 on.
 */
function segmentBefore(lsn, timeline, bytes) {
    const [high = '0', low = '0'] = lsn.split('/');
    const at = (BigInt(`0x${high}`) << 32n) + BigInt(`0x${low}`);
    return segmentName(timeline, (at - 1n) / BigInt(bytes), bytes);
}
function segmentName(timeline, number, bytes) {
    const perFile = 0x100000000n / BigInt(bytes);
    const hex = (value) => value.toString(16).toUpperCase().padStart(8, '0');
    return `${timeline}${hex(number / perFile)}${hex(number % perFile)}`;
}
/** Names behind `after` up to `last`, in order. Throws `postgres-wal-gone` where the two are of different timelines. */
function segmentsBetween(after, last, bytes) {
    if (!SEGMENT.test(after) || !SEGMENT.test(last) || after.slice(0, 8) !== last.slice(0, 8))
        throw walGone(`from ${after} to ${last} there is no way`);
    const perFile = 0x100000000n / BigInt(bytes);
    const number = (name) => BigInt(`0x${name.slice(8, 16)}`) * perFile + BigInt(`0x${name.slice(16, 24)}`);
    const names = [];
    for (let at = number(after) + 1n; at <= number(last); at++)
        names.push(segmentName(after.slice(0, 8), at, bytes));
    return names;
}
/** The segments, all of one size, one after the other in `content`. */
async function* archive(content, names, bytes, model, done) {
    const waiting = [...names];
    let left = 0;
    for await (const chunk of content) {
        for (let at = 0; at < chunk.length;) {
            if (left === 0) {
                const name = waiting.shift();
                if (name === undefined)
                    throw walGone('the server gave more than the segments asked for');
                yield tarHeader({ ...model, name: `pg_wal/${name}`, path: `pg_wal/${name}`, type: 'file', size: bytes });
                left = bytes;
            }
            const piece = chunk.subarray(at, at + left);
            yield piece;
            at += piece.length;
            left -= piece.length;
        }
    }
    await done();
    if (left > 0 || waiting.length > 0)
        throw walGone(`${waiting[0] ?? names.at(-1)} is not whole`);
    yield TAR_END;
}
/** A base backup holds the WAL that was written while it was taken, at least one segment. */
function noWal(spec) {
    return walGone(`the base backup of ${spec.name} holds none`);
}
function walGone(why) {
    return new errors/* CaretakerError */.xT('postgres-wal-gone', `failed to read the server's WAL since the base backup: ${why}`, {
        hint: 'Something removed or switched it meanwhile, such as a restart of the server or a promotion. Run again.',
    });
}

;// CONCATENATED MODULE: ./src/sources/postgres.ts













/**
 * A PostgreSQL server of the project. `physical`: a base backup streamed out of the running server, restored by any server of the same major
 * version. `dump`: globals and every database as archives of pg_dump, restored by any server that is not older. `files`: the data directory of a server that is down.
 */
function postgresSource(spec, deps, writers) {
    const { project, log } = deps;
    const { files } = project;
    const live = spec.path;
    const facts = ({ version, major, databases, locale }, rows = new Map()) => ({
        postgres: {
            ...{ version, major, databases, user: spec.user, locale },
            ...(rows.size === 0 ? {} : { rows: Object.fromEntries(rows) }),
        },
    });
    const online = async (situation, begin) => {
        if (situation === 'stopped') {
            throw new errors/* CaretakerError */.xT('postgres-not-running', `failed to copy the database server ${spec.service}: it is stopped, and ${spec.method} needs it running`, {
                hint: `Start it, or take its data directory: type=postgres,service=${spec.service},method=files.`,
            });
        }
        const access = await openServer(project, log, spec);
        const rows = new Map();
        return {
            streams: begin(access, rows),
            consistency: situation === 'serving' ? 'online' : 'quiesced',
            get facts() {
                return facts(access.facts, rows);
            },
            finish: () => Promise.resolve(),
        };
    };
    const physical = (access, onMember) => {
        refuseUnfit(access.facts, spec);
        const argv = ['pg_basebackup', '-w', '-U', spec.user, '-D', '-', '-Ft', '-X', 'fetch', '-c', 'fast'];
        return [
            {
                suffix: 'tar',
                open: () => checked(access.stream([...argv]), (source) => checkCluster(source, spec, onMember)),
            },
        ];
    };
    /** A base backup while the application serves, and the WAL behind it: as much as was written, however large the cluster is. */
    const warm = async () => {
        const access = await openServer(project, log, spec);
        const end = new BaseEnd();
        const streams = physical(access, (member) => end.note(member));
        let letGo;
        try {
            if (!access.facts.switchesWal)
                throw noSlot('its role may not call pg_switch_wal, or it is a standby');
            letGo = await holdWal(access, `caretaker_${deps.run.replaceAll(/[^a-z0-9_]/g, '_')}`);
        }
        catch (error) {
            if (!(error instanceof errors/* CaretakerError */.xT && error.code === 'postgres-slot'))
                throw error;
            log.warn(`${spec.name}: all of it is copied while the application stands still: ${error.message}`);
            return undefined;
        }
        let tails = 0;
        return {
            streams,
            facts: facts(access.facts),
            async more() {
                if (end.member === undefined)
                    throw noWal(spec);
                const tail = await walTail(access, end.segment, end.member, `wal${tails + 1}.tar`);
                if (tail === null)
                    return [];
                tails++;
                end.segment = tail.last;
                return [tail.stream];
            },
            finish: letGo,
        };
    };
    const dump = (access, rows) => [
        {
            suffix: 'globals.sql',
            open: () => access.stream(['pg_dumpall', '-w', '-U', spec.user, '--globals-only']),
        },
        ...access.facts.databases.map((database) => ({
            suffix: dumpSuffix(database),
            // -Z0: zstd does it better, outside the server's container.
            open: () => countedDump(access, database, ['pg_dump', '-w', '-U', spec.user, '-Fc', '-Z0'], {
                limit: () => MAX_COUNTED_TABLES - [...rows.values()].reduce((sum, one) => sum + Object.keys(one).length, 0),
                onRows: (counts) => void rows.set(database, counts),
                onUncounted: (error) => log.info(`${spec.name}: ${error.message}; the dump is complete without it`),
            }),
        })),
    ];
    const stopped = async (situation) => {
        const container = await serverContainer(project, spec.service);
        if (situation !== 'stopped' ||
            (container !== null && ['running', 'paused', 'restarting'].includes(container.state))) {
            throw new errors/* CaretakerError */.xT('postgres-running', `failed to copy the data directory of ${spec.service}: its server runs, and a copy of its files would be torn`, {
                hint: `Use method=physical, which needs no stop, or stop ${spec.service} first.`,
            });
        }
        const version = (await readHead(files, (0,external_node_path_.join)(live, 'PG_VERSION'), 16)).toString('latin1').trim();
        return {
            streams: [
                {
                    suffix: 'tar',
                    open: () => checked(files.tar(live, { exclude: ['postmaster.pid'] }), (source) => checkCluster(source, spec)),
                },
            ],
            consistency: 'stopped',
            facts: { postgres: { version, major: parseInt(version, 10) || 0, databases: [], user: spec.user } },
            finish: () => Promise.resolve(),
        };
    };
    /** Fulfilled with a fresh data directory beside the live one, of its owner and mode. */
    const stageCluster = async (part, read, fresh) => {
        let rooted = false;
        const [base, ...tails] = part.files;
        if (base === undefined)
            return;
        const onMember = (member) => {
            rooted ||= member.path === '';
        };
        await unpack(files, fresh, checkCluster(read(base), spec, onMember));
        for (const file of tails)
            await unpack(files, fresh, read(file), { onMember: refuseButWal }, { over: true });
        // A base backup has no entry for the directory itself, and a server refuses one of another owner or mode.
        if (!rooted)
            await files.likeness(fresh, (await files.exists(live)) ? live : (0,external_node_path_.join)(fresh, 'base'));
        await files.remove([(0,external_node_path_.join)(fresh, 'postmaster.pid')]);
    };
    return {
        name: spec.name,
        kind: 'postgres',
        method: spec.method,
        origin: originOf(spec, project),
        writers,
        server: spec.service,
        loads: spec.method === 'dump',
        describe: () => `${spec.name}: PostgreSQL in ${spec.service} (${{ physical: 'base backup', dump: 'dump of every database', files: `files of ${live}` }[spec.method]})`,
        estimate: async () => (await files.scan(live)).bytes,
        capture: (situation) => spec.method === 'files'
            ? stopped(situation)
            : online(situation, spec.method === 'physical' ? (access) => physical(access) : dump),
        ...(spec.method === 'physical' ? { warm } : {}),
        async stage(part, read, run) {
            if (deps.back !== true)
                await refuseMajor(part, deps, spec);
            if (deps.back !== true && deps.anew !== true)
                await refuseLocale(part, deps, spec);
            const { fresh, aside } = await placesFor(files, live, run);
            try {
                if (part.method === 'dump') {
                    // The server makes a new cluster in an empty directory; where there is none yet, it makes that too.
                    if (!(await files.exists(live)))
                        return [];
                    if (within(live, fresh) !== undefined) {
                        throw new errors/* CaretakerError */.xT('postgres-mount-point', `failed to restore ${part.name}: ${live} can't be renamed, and a server makes no new cluster in a directory that is not empty`, {
                            hint: 'A mount point or a parent directory that may not be written is in the way. Set PGDATA to a directory below the mount, or restore by hand with the RESTORE.md of the backup.',
                        });
                    }
                    await files.makeDirectory(fresh, live);
                }
                else {
                    await stageCluster(part, read, fresh);
                }
                return [{ kind: 'directory', live, fresh, aside, carry: [] }];
            }
            catch (error) {
                await files.remove([fresh]);
                throw error;
            }
        },
        unstage: (run) => removeFresh(files, live, run),
        discard: () => files.empty(live, []),
        load: (part, read) => loadDump(part, read, spec, deps),
        proves: postgresProofs(spec, deps),
        doubts: async () => (spec.method === 'dump' ? [] : orderDoubts(await openServer(project, log, spec), spec.service)),
    };
}
/** Before a byte is read: what would make pg_basebackup fail, or succeed with less than everything. */
function refuseUnfit(facts, spec) {
    const dump = `Use the portable way: type=postgres,service=${spec.service},method=dump.`;
    if (facts.tablespaces.length > 0)
        throw tablespaces(spec, facts.tablespaces);
    if (facts.walLevel === 'minimal' || facts.walSenders < 1) {
        throw new errors/* CaretakerError */.xT('postgres-wal-level', `failed to copy ${spec.service}: its server has wal_level=${facts.walLevel} and max_wal_senders=${facts.walSenders}, and a base backup needs replica and 1`, { hint: `Set both in its configuration and restart it. ${dump}` });
    }
    if (!facts.replication) {
        throw new errors/* CaretakerError */.xT('postgres-role', `failed to copy ${spec.service}: the role ${spec.user} may not replicate`, {
            hint: `Grant it: ALTER ROLE … REPLICATION. ${dump}`,
        });
    }
}
function tablespaces(spec, names) {
    return new errors/* CaretakerError */.xT('postgres-tablespaces', `failed to copy ${spec.service}: its server has tablespaces outside its data directory (${names.join(', ')})`, { hint: `Use the portable way: type=postgres,service=${spec.service},method=dump.` });
}
/** A cluster's archive must hold a cluster, the whole of it. */
async function* checkCluster(source, spec, onMember) {
    const needed = new Set(['PG_VERSION', 'global/pg_control']);
    const check = (member) => {
        needed.delete(member.path);
        if (/^pg_tblspc\/[^/]+$/.test(member.path))
            throw tablespaces(spec, [member.path]);
        onMember?.(member);
    };
    yield* checkTar(source, { onMember: check });
    if (needed.size > 0) {
        throw new errors/* CaretakerError */.xT('part-damaged', `failed to find a PostgreSQL cluster in the archive of ${spec.name}: ${[...needed].join(' and ')} missing`, {
            hint: `Check that ${spec.path} is the server's data directory.`,
        });
    }
}
function refuseButWal(member) {
    if (isWalMember(member))
        return;
    throw new errors/* CaretakerError */.xT('part-hostile', `refused to unpack ${member.name}: what follows a base backup is WAL only`, {
        hint: 'This backup was not made by this program, or it was changed. Use another.',
    });
}
/** A server of another major version does not start on a physical copy; it would only tell after the swap. */
async function refuseMajor(part, { project, log, anew }, spec) {
    const stored = part.postgres?.major;
    if (stored === undefined)
        return;
    const major = anew === true
        ? await majorToCome(project, spec.service)
        : ((await serverMajor(project, spec.service)) ??
            (await majorToCome(project, spec.service)) ??
            (await majorOnDisk(project.files, spec.path)));
    if (major === undefined) {
        log.warn(`${spec.name}: nothing tells which PostgreSQL ${spec.service} runs; the backup needs ${stored}`);
        return;
    }
    const fits = part.method === 'dump' ? major >= stored : major === stored;
    if (fits)
        return;
    throw new errors/* CaretakerError */.xT('postgres-major', `failed to restore ${part.name}: it was taken from PostgreSQL ${stored}, and ${spec.service} runs ${major}`, {
        hint: part.method === 'dump'
            ? `Use an image of PostgreSQL ${stored} or newer for ${spec.service}.`
            : `Use an image of PostgreSQL ${stored} for ${spec.service}, restore, and then upgrade; a backup with method=dump goes into newer ones.`,
    });
}
/** That of the server that the compose file would start. */
async function majorToCome(project, service) {
    const services = (await project.engine?.compose.model())?.services;
    const image = services?.find(({ name }) => name === service)?.image ?? null;
    return image === null ? undefined : imageMajor(project, image);
}
async function majorOnDisk(files, path) {
    const file = (0,external_node_path_.join)(path, 'PG_VERSION');
    if (!(await files.exists(file)))
        return undefined;
    const text = (await readHead(files, file, 16)).toString('latin1').trim();
    const major = parseInt(text, 10);
    return Number.isNaN(major) ? undefined : major;
}

;// CONCATENATED MODULE: ./src/sources/project-files.ts






/** Below it lie, by their absolute paths, the files from outside the project directory. */
const OUTSIDE = '.caretaker-outside';
/** Compose and env files are small; what is larger was listed by mistake, and is not held in memory. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;
/** The project's own files: compose files, env files. The tar's root is the project directory. */
function projectFilesSource(spec, deps) {
    const { project, log } = deps;
    const { files } = project;
    const root = project.directory;
    const tree = (0,external_node_path_.join)(root, 'project-files'); // The fresh ones lie in the project directory itself.
    const members = spec.members ?? [];
    const capture = (situation) => Promise.resolve({
        streams: [{ suffix: 'tar', open: () => streamOf(tarOf(files, root, members)) }],
        consistency: situation === 'serving' ? 'online' : situation,
        facts: {},
        finish: () => Promise.resolve(),
    });
    return {
        name: spec.name,
        kind: 'project-files',
        method: 'files',
        origin: originOf({ ...spec, path: root }, project),
        writers: [],
        server: undefined,
        loads: false,
        describe: () => `${spec.name}: ${members.length} configuration files of ${root}`,
        estimate: async () => {
            const scans = await Promise.all(members.map((path) => files.scan(path)));
            return scans.reduce((sum, { bytes }) => sum + bytes, 0);
        },
        capture,
        warm: () => warmUnlessChanged(files, members, {}, () => capture('serving')),
        async stage(part, read, run) {
            const { fresh, aside } = beside(tree, run);
            const found = [];
            try {
                for (const file of part.files) {
                    await unpack(files, fresh, read(file), {
                        onMember: (member) => {
                            if (member.type === 'file')
                                found.push(member.path);
                        },
                    });
                }
                const missing = await missingFiles(found, (path) => files.exists((0,external_node_path_.join)(root, path)));
                for (const path of found.filter((one) => one.startsWith(`${OUTSIDE}/`))) {
                    log.warn(`${spec.name}: /${path.slice(OUTSIDE.length + 1)} lies outside the project directory, and is not restored`);
                }
                const swaps = [];
                for (const [index, path] of missing.entries()) {
                    await makeParents(files, root, (0,external_node_path_.dirname)(path));
                    swaps.push({
                        kind: 'file',
                        live: (0,external_node_path_.join)(root, path),
                        fresh: (0,external_node_path_.join)(fresh, path),
                        aside: `${aside}-${index}`,
                        carry: [],
                    });
                }
                if (swaps.length === 0)
                    await files.remove([fresh]);
                return swaps;
            }
            catch (error) {
                await files.remove([fresh]);
                throw error;
            }
        },
        unstage: (run) => files.remove([beside(tree, run).fresh]),
    };
}
/** The regular files of the part, held in memory: for a host that has no project yet. Links and files from outside the project directory are left out. */
async function readProjectFiles(part, read) {
    const found = [];
    for (const file of part.files) {
        const walk = checkTar(read(file), {
            onMember: (member) => {
                if (member.size > MAX_FILE_BYTES)
                    throw tooLarge(member.path, member.size);
                if (member.type === 'file')
                    found.push({ path: member.path, mode: member.mode & 0o777, pieces: [] });
            },
            onContent: (bytes) => found.at(-1)?.pieces.push(Buffer.from(bytes)),
        });
        for await (const chunk of walk)
            void chunk;
    }
    return found
        .filter(({ path }) => !path.startsWith(`${OUTSIDE}/`))
        .map(({ pieces, ...file }) => ({ ...file, content: Buffer.concat(pieces) }));
}
/**
 * What a restore writes of the project's own files when it is asked to: those that are not there, and nothing else. The files that are there are the
 * administrator's newest will, and git's; on an empty host all are missing.
 */
async function missingFiles(paths, exists) {
    const missing = [];
    for (const path of paths) {
        // Never git's own files (its hooks are programs) nor this program's, whatever the archive holds.
        const reserved = path.split('/').some((name) => name === '.git' || name.startsWith('.caretaker'));
        if (!reserved && !(await exists(path)))
            missing.push(path);
    }
    return missing;
}
async function makeParents(files, root, directory) {
    if (directory === '.' || (await files.exists((0,external_node_path_.join)(root, directory))))
        return;
    await makeParents(files, root, (0,external_node_path_.dirname)(directory));
    await files.makeDirectory((0,external_node_path_.join)(root, directory), root);
}
/** One archive of single files, each read as the containers' root may read it, under its path in the project. */
async function* tarOf(files, root, members) {
    for (const path of [...new Set(members)].sort()) {
        const { member, content } = await readFile(files, path);
        const name = within(root, path) ?? (0,external_node_path_.join)(OUTSIDE, path);
        yield tarHeader({ ...member, name: `./${name}`, path: name, size: content.length });
        yield content;
        yield tarPadding(content.length);
    }
    yield TAR_END;
}
function tooLarge(path, size) {
    return new errors/* CaretakerError */.xT('project-file-large', `failed to keep ${path}: it holds ${size} bytes, too much for a configuration file`, { hint: 'Back it up as type=file.' });
}
async function readFile(files, path) {
    const stream = files.tar(path, {});
    stream.stdin.end();
    const pieces = [];
    let member;
    const walk = checkTar(stream.stdout, {
        onMember: (found) => {
            if (found.size > MAX_FILE_BYTES)
                throw tooLarge(path, found.size);
            member = found;
        },
        onContent: (bytes) => pieces.push(Buffer.from(bytes)),
    });
    try {
        for await (const chunk of walk)
            void chunk;
    }
    catch (error) {
        stream.kill();
        await stream.done.catch(() => undefined);
        throw error;
    }
    await stream.done;
    if (member?.type !== 'file') {
        throw new errors/* CaretakerError */.xT('project-file-unreadable', `failed to keep ${path}: it is no regular file`, {
            hint: 'A symbolic link’s target can be listed instead of the link.',
        });
    }
    return { member, content: Buffer.concat(pieces) };
}

;// CONCATENATED MODULE: ./src/sources/sqlite.ts







/**
 * One SQLite database, by its online backup: a copy of the file of a running application is torn (30 of 30 in a measurement),
 * and one of a stopped application may lack the journal that still belongs to it.
 */
function sqliteSource(spec, deps) {
    const { project } = deps;
    const { files } = project;
    const live = spec.path;
    const name = (0,external_node_path_.basename)(live);
    const capture = async (situation) => {
        const directory = await stagingFor(project, `${deps.run}-sqlite-${spec.name}`);
        const finish = () => files.remove([directory]);
        try {
            const copy = (0,external_node_path_.join)(directory, name);
            const rows = await files.copySqlite(live, copy);
            const facts = readSqliteHeader(await readHead(files, copy, 100), live);
            return {
                streams: [{ suffix: 'tar', open: () => files.tar(copy, {}) }],
                consistency: situation === 'serving' ? 'online' : situation,
                facts: { sqlite: { ...facts, ...(rows === null ? {} : { rows }) } },
                finish,
            };
        }
        catch (error) {
            await finish();
            throw error;
        }
    };
    return {
        name: spec.name,
        kind: 'sqlite',
        method: 'sqlite',
        origin: originOf(spec, project),
        writers: spec.writers,
        server: undefined,
        loads: false,
        describe: () => `${spec.name}: SQLite database ${live}`,
        estimate: async () => (await files.scan(live)).bytes,
        capture,
        // Not `-shm`: it holds nothing, and readers write it.
        warm: () => {
            const all = ['', '-wal', '-journal'].map((end) => live + end);
            return warmUnlessChanged(files, all, { contents: true }, () => capture('serving'));
        },
        async stage(part, read, run) {
            const { fresh: directory, aside } = beside(live, run);
            const members = [];
            try {
                for (const file of part.files) {
                    await unpack(files, directory, read(file), { onMember: (member) => members.push(member.path) });
                }
                const [member] = members;
                if (members.length !== 1 || member === undefined || member.includes('/')) {
                    throw new errors/* CaretakerError */.xT('part-damaged', `failed to unpack ${part.name}: it is not the archive of one database file`, {
                        hint: 'Choose another backup.',
                    });
                }
                // Its name where the backup was taken need not be the one here.
                const fresh = (0,external_node_path_.join)(directory, member);
                await files.checkSqlite(fresh);
                // Whoever opens a database in WAL mode to look at it makes these; the copy is one file, and they hold nothing.
                await files.remove(['-wal', '-shm', '-journal'].map((end) => fresh + end));
                return [{ kind: 'sqlite', live, fresh, aside }];
            }
            catch (error) {
                await files.remove([directory]);
                throw error;
            }
        },
        discard: () => files.removeMembers((0,external_node_path_.dirname)(live), ['', '-wal', '-shm', '-journal'].map((end) => memberName(name + end))),
        unstage: (run) => files.remove([beside(live, run).fresh]),
        proves: {
            async resting(part) {
                const { rows, orphans } = await files.proveSqlite(live).catch((error) => {
                    if (error instanceof errors/* CaretakerError */.xT && error.code.startsWith('sqlite-'))
                        throw disproved(part, error.message, error);
                    throw error;
                });
                const lines = [`${part.name}: every page and index is whole (PRAGMA integrity_check)`];
                for (const [table, count] of Object.entries(orphans))
                    lines.push(`${part.name}: ${count} rows of ${table} refer to rows that are not there; SQLite does not tell since when`);
                lines.push(provenRows(part, part.name, part.sqlite?.rows, rows ?? undefined));
                return lines;
            },
        },
    };
}
/** https://www.sqlite.org/fileformat.html, 1.3. */
function readSqliteHeader(header, path) {
    if (header.length < 100 || header.toString('latin1', 0, 16) !== 'SQLite format 3\0') {
        throw new errors/* CaretakerError */.xT('sqlite-damaged', `failed to read ${path}: its copy is no SQLite database`, {
            hint: 'Check the file with the program that writes it; restore an older backup if it is broken.',
        });
    }
    const pageSize = header.readUInt16BE(16);
    return { pageSize: pageSize === 1 ? 65536 : pageSize, pages: header.readUInt32BE(28) };
}

;// CONCATENATED MODULE: ./src/sources/sources.ts





/** Binds what was found to where it lives. Reads nothing but the project's services. */
async function createSource(spec, deps) {
    switch (spec.type) {
        case 'postgres':
            // Who writes to a database server can't be seen from outside: any service may be its client.
            return postgresSource(spec, deps, [...new Set([...(await deps.project.services()), spec.service])]);
        case 'sqlite':
            return sqliteSource(spec, deps);
        case 'volume':
        case 'directory':
        case 'file':
            return filesSource(spec, spec.type, deps);
        case 'project-files':
            return projectFilesSource(spec, deps);
    }
}
/**
 * The source that a part of a backup goes back to, wherever its data live in the project as it is now: a backup may come from
 * another host or directory. `paths`: what inside it is exchanged; none for the whole. Throws `part-homeless` when the project has no place for it: a manifest alone never says where to write.
 */
async function sourceForPart(part, deps, paths = []) {
    const place = await locate(part, deps, paths);
    const { name, origin } = part;
    const common = {
        name,
        path: place.path,
        ...(place.service === undefined ? {} : { service: place.service }),
        ...(place.volume === undefined ? {} : { volume: place.volume }),
        ...(place.containerPath === undefined ? {} : { containerPath: place.containerPath }),
    };
    if (part.kind === 'postgres') {
        return createSource({
            ...common,
            type: 'postgres',
            method: part.method === 'sqlite' ? 'files' : part.method,
            service: place.service ?? origin.service ?? '',
            containerPath: place.containerPath ?? '',
            user: part.postgres?.user ?? 'postgres',
        }, deps);
    }
    if (part.kind === 'sqlite')
        return createSource({ ...common, type: 'sqlite', writers: place.writers }, deps);
    return createSource({ ...common, type: part.kind, exclude: origin.exclude ?? [], writers: place.writers }, deps);
}

;// CONCATENATED MODULE: ./src/modes/data.ts


/** Databases first: no row may refer to a file that the backup lacks. */
const order = {
    postgres: 0,
    sqlite: 1,
    volume: 2,
    directory: 2,
    file: 2,
    'project-files': 3,
};
/** Finds what has data, says what is taken and what is left and why, and binds it to where it lives. */
async function dataSources(tools, lines) {
    const plan = await planData(tools.project, lines, folders(tools));
    const sources = await Promise.all(plan.take.map((spec) => createSource(spec, sourceDeps(tools))));
    sources.sort((one, other) => order[one.kind] - order[other.kind]);
    for (const source of sources)
        tools.log.info(`Taken: ${source.describe()}`);
    for (const note of plan.notes ?? [])
        tools.log.info(`Note:  ${note}`);
    for (const { what, why } of plan.leave)
        tools.log.info(`Left:  ${what}: ${why}`);
    return { sources, left: plan.leave };
}
/** Folders that hold backups: one in a mounted tree must not be backed up into itself. */
function folders({ stores, local }) {
    return [...stores, local].flatMap(({ directory }) => (directory === undefined ? [] : [directory]));
}
function sourceDeps(tools) {
    const { project, log, clock, run, plan } = tools;
    return { project, log, clock, run, ...(plan === undefined ? {} : { plan }) };
}
/** The services that have to stand still for the sources not to change. An application run by commands stops as a whole. */
async function data_writersOf(project, sources) {
    if (project.engine === null)
        return project.services();
    return [...new Set(sources.flatMap((source) => source.writers))];
}
function serversOf(sources) {
    return [...new Set(sources.flatMap((source) => (source.server === undefined ? [] : [source.server])))];
}

;// CONCATENATED MODULE: ./src/health/wait.ts

/**
 * Looks at all probes until every one has passed and kept passing for the settling time. The first success is not the end: workers that still
 * load make an application time out again and again after it. A failure during settling begins it anew; settling that began in time is let
 * finish. A fatal result ends the wait at once. Throws only the signal's reason.
 */
async function waitHealthy(probes, options) {
    const { timeoutMs, settleMs, intervalMs = 1000, clock, log, signal, mend } = options;
    const start = clock.monotonic();
    const elapsed = () => clock.monotonic() - start;
    let firstHealthySeconds;
    let passingSince;
    const said = new Map();
    for (;;) {
        signal?.throwIfAborted();
        const results = await beforeAbort(Promise.all(probes.map(look)), signal);
        signal?.throwIfAborted();
        const now = elapsed();
        for (const { probe, ok, detail } of results) {
            const line = `${ok ? 'healthy' : 'waiting'}: ${probe}: ${detail}`;
            if (said.get(probe) !== line)
                log.info(line);
            said.set(probe, line);
        }
        const report = (healthy) => ({
            healthy,
            shallow: probes.every((probe) => probe.shallow === true),
            results: results.map(({ probe, ok, detail }) => ({ probe, ok, detail })),
            firstHealthySeconds,
            seconds: now / 1000,
        });
        if (results.every(({ ok }) => ok)) {
            firstHealthySeconds ??= now / 1000;
            passingSince ??= now;
            if (now - passingSince >= settleMs)
                return report(true);
            await clock.sleep(Math.min(intervalMs, settleMs - (now - passingSince)), signal);
            continue;
        }
        if (passingSince !== undefined)
            log.info(`It was healthy for ${Math.round((now - passingSince) / 1000)} s only.`);
        passingSince = undefined;
        if (results.some(({ fatal }) => fatal) || now >= timeoutMs)
            return report(false);
        await mend?.().catch((error) => log.debug((0,errors/* messageOf */.bD)(error)));
        await clock.sleep(Math.min(intervalMs, timeoutMs - now), signal);
    }
}
async function look(probe) {
    try {
        return { probe: probe.name, ...(await probe.check()) };
    }
    catch (error) {
        // A probe that throws against its contract: the next look may pass.
        return { probe: probe.name, ok: false, detail: (0,errors/* messageOf */.bD)(error) };
    }
}
/** A look at an application that hangs takes its time; a cancelled run has none. */
async function beforeAbort(looking, signal) {
    if (signal === undefined)
        return looking;
    let onAbort = () => undefined;
    const aborted = new Promise((_, reject) => {
        onAbort = () => reject(signal.reason);
        signal.addEventListener('abort', onAbort, { once: true });
    });
    try {
        return await Promise.race([looking, aborted]);
    }
    finally {
        signal.removeEventListener('abort', onAbort);
    }
}

;// CONCATENATED MODULE: ./src/modes/serving.ts


/** Waits until every probe passes and stays so. Throws `unhealthy` with what was seen last. */
async function becomeHealthy(tools, patience) {
    const { probes, clock, log, signal, recorder } = tools;
    const report = await recorder.step('Wait until it is healthy', () => waitHealthy(probes, {
        ...{ timeoutMs: patience.healthTimeoutMs, settleMs: patience.settleMs, clock, log, signal },
        mend: () => mendNetwork(tools),
    }));
    recorder.health = report;
    if (!report.healthy) {
        await noteLastWords(tools);
        const seen = report.results.filter(({ ok }) => !ok).map(({ probe, detail }) => `${probe}: ${detail}`);
        throw new errors/* CaretakerError */.xT('unhealthy', `the application is not healthy after ${Math.round(report.seconds)} s: ${seen.join('; ')}`, {
            hint: hintOfLocale(recorder.lastWords) ??
                'Read the last log lines of the services below; raise health-timeout if the application only needs longer to start.',
        });
    }
    recorder.serving(report.seconds - (report.firstHealthySeconds ?? report.seconds));
    return report;
}
/** A fault of the engine's is no fault of the version's, and none that an administrator should have to know. */
async function mendNetwork({ project, log }) {
    const running = async () => (await project.containers()).filter(({ state }) => state === 'running').map(({ id }) => id);
    if (await project.engine?.runtime.mendNetwork(running))
        log.info(`${project.engine?.runtime.name ?? ''} had lost its name server: the network is set up anew`);
}
/** Keeps what the services said last, before an undo takes their containers away. The first failure is the one to explain. */
async function noteLastWords({ project, recorder }) {
    if (recorder.lastWords !== undefined)
        return;
    try {
        recorder.lastWords = await project.lastWords(LAST_LINES);
    }
    catch (error) {
        recorder.warn(`The services' last log lines can't be read: ${(0,errors/* messageOf */.bD)(error)}`);
    }
}
/** A PostgreSQL server says this when it starts on data of a locale that its image lacks. */
function hintOfLocale(words) {
    const pattern = /"([^"]+)", which is not recognized by setlocale\(\)|invalid value for parameter "lc_\w+": "([^"]+)"/;
    for (const { service, text } of words ?? []) {
        const found = pattern.exec(text);
        if (found !== null)
            return `The image of ${service} does not know the locale ${found[1] ?? found[2] ?? ''} of its data. Use the image that they were made with (a restore: with-code: true), or one that has the locale.`;
    }
    return undefined;
}
const LAST_LINES = 40;
/** Services of which a container runs now. */
async function runningServices(project) {
    if (project.engine === null)
        return (await project.running()) ? await project.services() : [];
    const containers = await project.containers();
    return [
        ...new Set(containers
            .filter(({ state, oneOff }) => (state === 'running' || state === 'restarting') && !oneOff)
            .map(({ service }) => service)),
    ];
}
/** Ids of the containers that run now. */
async function runningContainers(project) {
    const containers = await project.containers();
    return containers.filter(({ state, oneOff }) => state === 'running' && !oneOff).map(({ id }) => id);
}
/** Services that have a container, of any state. */
async function knownServices(project) {
    return [...new Set((await project.containers()).map(({ service }) => service))];
}
function serveAgain(data) {
    return { action: 'serve-again', data };
}
/** Brings back what served before, and waits until it does. Nothing to do is no error. */
async function bringBack(tools, patience, data) {
    const { project } = tools;
    if (data.services.length === 0)
        return;
    const { engine } = project;
    if (engine !== null) {
        const containers = await project.containers();
        const strangers = containers.filter(({ service }) => !data.known.includes(service)).map(({ id }) => id);
        if (strangers.length > 0) {
            await engine.runtime.stop(strangers);
            await engine.runtime.remove(strangers);
        }
        // podman-compose 1.0.3 makes all containers anew on every `up`: a build that failed would cost the old version an outage.
        const untouched = data.running !== undefined &&
            data.running.length > 0 &&
            data.running.every((id) => containers.some((container) => container.id === id && container.state === 'running'));
        if (untouched) {
            await becomeHealthy(tools, patience);
            return;
        }
        const present = new Set(containers.map(({ service }) => service));
        const complete = data.services.every((service) => present.has(service));
        await (data.by === 'start' && complete ? project.start(data.services) : project.up(data.services));
    }
    else if (!(await project.running())) {
        await project.start(data.services);
    }
    await becomeHealthy(tools, patience);
}
/** These services and all that depend on them: a proxy resolves an address once, and a stopped service may come back with another. */
async function withDependents(project, services) {
    if (project.engine === null)
        return [...services];
    const { services: all } = await project.engine.compose.model();
    const closed = new Set(services);
    for (let grown = true; grown;) {
        grown = false;
        for (const { name, dependsOn } of all) {
            if (!closed.has(name) && dependsOn.some((dependency) => closed.has(dependency))) {
                closed.add(name);
                grown = true;
            }
        }
    }
    return [...closed];
}

;// CONCATENATED MODULE: ./src/modes/backup.ts





/**
 * backup: find the data → copy it while the application serves → verify the copy → store it.
 * With `consistency=stopped` the services that write stand still while what changed since the first copy is copied, and only then.
 */
async function backup(tools, settings) {
    const { project, recorder, saga } = tools;
    const directory = external_node_path_default().join(project.stateDirectory, 'staging', `${tools.run}-backup`);
    const { sources, left } = await recorder.step('Find the data', () => dataSources(tools, settings.data));
    await recorder.step('Check the stores and the disk', async () => {
        for (const store of tools.stores)
            await store.check('write');
        await checkDisk(sources, project.stateDirectory);
    });
    const head = (await tools.checkout?.head()) ?? null;
    let warm;
    try {
        let captured;
        const request = { sources, left, reason: 'backup', head, directory };
        if (settings.consistency === 'online' || !(await project.running())) {
            captured = await captureBackup(tools, { ...request, situation: 'serving' });
        }
        else {
            warm = await warmBackup(tools, request);
            const servers = serversOf(sources);
            const running = await runningServices(project);
            const resting = (await data_writersOf(project, sources)).filter((service) => running.includes(service) && !servers.includes(service));
            const undo = serveAgain({ services: resting, by: 'start', known: await knownServices(project) });
            await recorder.step('Stop the services that write', () => saga.step('stop writers', { undo }, async () => {
                recorder.away();
                await project.stop(resting);
            }));
            captured = await captureBackup(tools, { ...request, situation: 'quiesced' }, warm);
            await recorder.step('Start them again', () => saga.step('start writers', { undo: null }, () => project.start(resting)));
            await becomeHealthy(tools, settings);
        }
        for (const store of tools.stores)
            recorder.stored.push(await storeBackup(tools, captured, store));
        const { keepLocalDays } = settings;
        await saga.commit(keepLocalDays === undefined ? [] : [{ action: 'tidy', data: { keepLocalDays } }]);
        return { captured };
    }
    finally {
        await warm?.end();
        await (0,promises_.rm)(directory, { recursive: true, force: true });
    }
}

;// CONCATENATED MODULE: ./src/archive/proof.ts

/**
 * What a drill proves, each more than the one before it. `read`: every byte was read, and digests, archives and the files of databases are whole. `databases`: the database servers
 * started on it and were checked. `application`: the whole application came up on it and was healthy.
 */
const proofLevels = ['read', 'databases', 'application'];
const FILE = /^([^.]+)\.drill-(\d{4})(\d\d)(\d\d)t(\d\d)(\d\d)(\d\d)z\.([a-z]+)\.(ok|failed)\.json$/;
/** `shop-20261121T220000Z.drill-20261124t221500z.databases.ok.json`: the name tells all that a list shows. */
function proofFile(backup, { at, level, ok }) {
    const stamp = new Date(at)
        .toISOString()
        .replaceAll(/[-:]|\.\d+/g, '')
        .toLowerCase();
    return `${backup}.drill-${stamp}.${level}.${ok ? 'ok' : 'failed'}.json`;
}
/** The backup and the result, null for any other name. */
function parseProofFile(file) {
    const match = FILE.exec(file);
    if (match === null)
        return null;
    const [, backup = '', year, month, day, hour, minute, second, named, result] = match;
    const at = new Date(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
    const level = proofLevels.find((known) => known === named);
    if (parseBackupName(backup) === null || level === undefined || Number.isNaN(at.getTime()))
        return null;
    const proof = { at: at.toISOString(), level, ok: result === 'ok', file };
    // 20260231 is well-formed and no day.
    return proofFile(backup, proof) === file ? { backup, proof } : null;
}
/** The text of a proof as it is stored: indented JSON with a line's end. */
function formatProof({ at, level, ok, backup, manifest, lines, caretaker }) {
    return `${JSON.stringify({ schema: 1, backup, manifest, at, level, ok, lines, caretaker }, null, 2)}\n`;
}
/** Of the proofs among these files, those of each backup, newest first. */
function proofsByBackup(files) {
    const found = new Map();
    for (const file of new Set(files)) {
        const parsed = parseProofFile(file);
        if (parsed !== null)
            found.set(parsed.backup, [...(found.get(parsed.backup) ?? []), parsed.proof]);
    }
    for (const proofs of found.values())
        proofs.sort((one, other) => (one.at < other.at ? 1 : -1));
    return found;
}
/** Those that no newer one of the same or a deeper level has outdone. `proofs`: newest first. */
function standing(proofs) {
    const depth = ({ level }) => proofLevels.indexOf(level);
    return proofs.filter((proof, at) => !proofs.slice(0, at).some((newer) => depth(newer) >= depth(proof)));
}
/**
 * What there is to tell of a backup, null where no drill was held: the newest result; but a failure until a drill that goes as deep has passed, since one that only reads proves
 * nothing against it. `proofs`: newest first.
 */
function verdict(proofs) {
    const left = standing(proofs);
    const told = left.find(({ ok }) => !ok) ?? left[0];
    return told === undefined ? null : { at: told.at, level: told.level, ok: told.ok };
}

;// CONCATENATED MODULE: ./src/modes/list.ts



/** list: every complete backup of the project in every store, newest first. */
async function list(tools) {
    const listed = [];
    for (const store of [...tools.stores, tools.local]) {
        await store.check('read');
        for (const { proofs, ...backup } of await store.list(tools.project.name)) {
            const row = { ...backup, store: store.name, proven: verdict(proofs) };
            try {
                const manifest = openManifest(await store.readManifest({ ...backup, proofs }));
                const bytes = manifest.parts.flatMap(({ files }) => files).reduce((sum, file) => sum + file.bytes, 0);
                const { tag, describe, commit } = manifest.version;
                listed.push({
                    ...row,
                    bytes,
                    reason: manifest.reason,
                    version: tag ?? describe ?? commit,
                    parts: manifest.parts.map(({ name }) => name),
                    encrypted: manifest.encryption !== null,
                    problem: undefined,
                });
            }
            catch (error) {
                if (!(error instanceof errors/* CaretakerError */.xT))
                    throw error;
                listed.push({
                    ...row,
                    reason: 'unknown',
                    version: null,
                    parts: [],
                    encrypted: false,
                    problem: `${error.code}: ${error.message}`,
                });
            }
        }
    }
    return listed.sort((one, other) => other.createdAt.getTime() - one.createdAt.getTime());
}

;// CONCATENATED MODULE: ./src/safety/journal.ts




const KEPT = 20;
/** Opens `journal.jsonl` in the state directory, which must be there; the lock must be held. A last line torn by a power cut never was. */
async function openJournal(stateDirectory) {
    const file = external_node_path_default().join(stateDirectory, 'journal.jsonl');
    await cutTornLine(file);
    // Killed between its last line and the rotation.
    const last = (await readLines(file)).at(-1);
    if (last?.type === 'end')
        await rotate(file);
    return {
        file,
        async unfinished() {
            return summarise(await readLines(file), file);
        },
        async append(line) {
            if (line.type === 'begin' && (await (0,system_files/* readText */.yR)(file)) !== null) {
                throw new errors/* CaretakerError */.xT('journal-unfinished', `failed to begin: ${file} holds a run that has not ended`, {
                    hint: 'The next run finishes it; see docs/recovery-by-hand.md.',
                });
            }
            try {
                await (0,system_files/* appendDurable */.Wo)(file, JSON.stringify(line));
            }
            catch (error) {
                // A rename needs no space, and says as much: a full disk must not make the next run undo what is undone.
                if (line.type !== 'end' || !(error instanceof errors/* CaretakerError */.xT && error.code === 'disk-full'))
                    throw error;
            }
            if (line.type === 'end')
                await rotate(file);
        },
    };
}
/**
 * The run that has not ended, as far as the journal tells now; null where there is none. Looks only, without the lock: another process may be about to write, so a last line
 * that can't be read counts as one that never was. Throws `journal-damaged`.
 */
async function unfinishedRun(stateDirectory) {
    const file = external_node_path_default().join(stateDirectory, 'journal.jsonl');
    const text = (await (0,system_files/* readText */.yR)(file)) ?? '';
    const lines = text.split('\n').slice(0, -1);
    const last = lines.at(-1);
    return summarise(journal_linesOf(last !== undefined && parseLine(last) === null ? lines.slice(0, -1) : lines, file), file);
}
/** The next line must not continue a torn one. */
async function cutTornLine(file) {
    const text = await (0,system_files/* readText */.yR)(file);
    if (text === null)
        return;
    let whole = text.slice(0, text.lastIndexOf('\n') + 1);
    // A power cut may also leave a whole line of zeros where the file's size reached the disk before its content.
    const lastStart = whole.lastIndexOf('\n', whole.length - 2) + 1;
    if (whole !== '' && parseLine(whole.slice(lastStart)) === null)
        whole = whole.slice(0, lastStart);
    // An empty file is what is left where the first line could not be written.
    if (whole === text && text !== '')
        return;
    try {
        if (whole === '') {
            await (0,promises_.unlink)(file);
            await (0,system_files/* syncDirectory */.zR)(external_node_path_default().dirname(file));
            return;
        }
        const handle = await (0,promises_.open)(file, 'r+');
        try {
            await handle.truncate(Buffer.byteLength(whole));
            await handle.sync();
        }
        finally {
            await handle.close();
        }
    }
    catch (error) {
        throw (0,system_files/* fileError */.zS)(`mend ${file}`, error);
    }
}
async function readLines(file) {
    return journal_linesOf(((await (0,system_files/* readText */.yR)(file)) ?? '').split('\n').slice(0, -1), file);
}
function journal_linesOf(lines, file) {
    return lines.map((line, index) => {
        const parsed = parseLine(line);
        if (parsed === null)
            throw journal_damaged(file, `line ${index + 1} is not JSON`);
        return parsed;
    });
}
function parseLine(line) {
    try {
        return JSON.parse(line);
    }
    catch {
        return null;
    }
}
function summarise(lines, file) {
    const [begin, ...rest] = lines;
    if (begin === undefined)
        return null;
    if (begin.type !== 'begin')
        throw journal_damaged(file, 'its first line begins no run');
    const steps = new Map();
    let forward = null;
    for (const line of rest) {
        switch (line.type) {
            case 'begin':
                throw journal_damaged(file, 'it begins two runs');
            case 'step':
                steps.set(line.index, { index: line.index, name: line.name, undo: line.undo, state: 'begun' });
                break;
            case 'done':
            case 'undone': {
                const step = steps.get(line.index);
                if (step === undefined)
                    throw journal_damaged(file, `step ${line.index} ended without a beginning`);
                step.state = line.type;
                break;
            }
            case 'commit':
                forward = line.forward.map((entry) => ({ entry, done: false }));
                break;
            case 'forwarded': {
                const action = forward?.[line.index];
                if (action === undefined)
                    throw journal_damaged(file, `forward action ${line.index} is unknown`);
                action.done = true;
                break;
            }
            case 'end':
                return null;
            default:
                throw journal_damaged(file, `it has a line of the unknown type ${String(line.type)}`);
        }
    }
    const { run, mode, at, settings } = begin;
    return { run, mode, at, settings, steps: [...steps.values()], forward };
}
function journal_damaged(file, why) {
    return new errors/* CaretakerError */.xT('journal-damaged', `failed to read the journal ${file}: ${why}`, {
        hint: 'It tells what an interrupted run had done. See docs/recovery-by-hand.md for doing the rest by hand; then move the file away.',
    });
}
async function rotate(file) {
    const directory = external_node_path_default().dirname(file);
    try {
        const [begin] = await readLines(file);
        const run = begin?.type === 'begin' ? begin.run : 'unknown';
        await (0,promises_.rename)(file, external_node_path_default().join(directory, `journal-${run.replaceAll(/[^A-Za-z0-9._-]/g, '_')}.jsonl`));
        const names = (await (0,promises_.readdir)(directory)).filter((name) => /^journal-.*\.jsonl$/.test(name));
        const aged = await Promise.all(names.map(async (name) => ({ name, time: (await (0,promises_.stat)(external_node_path_default().join(directory, name))).mtimeMs })));
        aged.sort((one, other) => other.time - one.time);
        for (const { name } of aged.slice(KEPT))
            await (0,promises_.unlink)(external_node_path_default().join(directory, name));
        await (0,system_files/* syncDirectory */.zR)(directory);
    }
    catch (error) {
        throw (0,system_files/* fileError */.zS)(`rotate ${file}`, error);
    }
}

// EXTERNAL MODULE: ./node_modules/yaml/dist/index.js
var dist = __webpack_require__(38815);
;// CONCATENATED MODULE: ./src/compose/interpolate.ts
/** A template that can't be filled in: a required variable is missing, or its form is wrong. Positions are the caller's to add. */
class InterpolationError extends Error {
}
/**
 * Fills in variables by Compose's rules: `$NAME`, `${NAME}`, `:-` `-` (default), `:?` `?` (error), `:+` `+` (alternative), `$$` for a
 * dollar. Defaults may nest. An unset variable is the empty string.
 */
function interpolate(text, lookup) {
    const [result, end] = expand(text, 0, lookup, false);
    if (end !== text.length)
        throw new InterpolationError(`invalid template: ${text}`);
    return result;
}
const interpolate_name = /[A-Za-z_][A-Za-z0-9_]*/y;
/** Expands from `position` to the end, or to the `}` that closes the braces we are in; answers with the text and where it stopped. */
function expand(text, position, lookup, inBraces) {
    let result = '';
    let at = position;
    while (at < text.length) {
        const char = text[at];
        if (inBraces && char === '}')
            return [result, at];
        if (char !== '$') {
            result += char;
            at++;
        }
        else if (text[at + 1] === '$') {
            result += '$';
            at += 2;
        }
        else if (text[at + 1] === '{') {
            const [value, end] = braced(text, at + 2, lookup);
            result += value;
            at = end;
        }
        else {
            const variable = nameAt(text, at + 1);
            if (variable === undefined) {
                throw new InterpolationError(`invalid template: a single $ in "${text}" (write $$ for a dollar)`);
            }
            result += lookup(variable) ?? '';
            at += 1 + variable.length;
        }
    }
    return [result, at];
}
function braced(text, position, lookup) {
    const variable = nameAt(text, position);
    if (variable === undefined)
        throw new InterpolationError(`invalid template: no name after \${ in "${text}"`);
    let at = position + variable.length;
    const operator = /:?[-?+]/y;
    operator.lastIndex = at;
    const sign = operator.exec(text)?.[0];
    const [argument, end] = expandLazily(text, at + (sign?.length ?? 0), lookup);
    if (text[end] !== '}' || (sign === undefined && end !== at)) {
        throw new InterpolationError(`invalid template: \${${variable} in "${text}" is not closed or has an unknown operator`);
    }
    at = end + 1;
    const value = lookup(variable);
    if (sign === undefined)
        return [value ?? '', at];
    const present = value !== undefined && (!sign.startsWith(':') || value !== '');
    if (sign.endsWith('+'))
        return [present ? argument() : '', at];
    if (present)
        return [value, at];
    if (sign.endsWith('-'))
        return [argument(), at];
    throw new InterpolationError(`required variable ${variable} is missing a value: ${argument()}`);
}
/** Like expand inside braces, but a required variable in a default that is not used does not fail. */
function expandLazily(text, position, lookup) {
    const [, end] = expand(text, position, () => 'x', true);
    return [() => expand(text, position, lookup, true)[0], end];
}
function nameAt(text, position) {
    interpolate_name.lastIndex = position;
    return interpolate_name.exec(text)?.[0];
}

;// CONCATENATED MODULE: ./src/compose/compose-file.ts



function isMapping(value) {
    return typeof value === 'object' && value !== null && !Array.isArray(value);
}
/**
 * One compose file as plain data: anchors and merge keys resolved, variables filled in when `lookup` is given (without one they stay as
 * written). Throws `compose-file-invalid` with line and column.
 */
function parseComposeFile(path, text, lookup) {
    const lines = new dist/* LineCounter */.HN();
    // Keys written twice: Compose refuses them itself, podman-compose takes the last.
    const document = (0,dist/* parseDocument */.Tp)(text, { merge: true, uniqueKeys: false, lineCounter: lines, prettyErrors: false });
    const fail = (offset, why, cause) => {
        const position = offset === undefined ? undefined : lines.linePos(offset);
        const where = position === undefined ? '' : ` at line ${position.line}, column ${position.col}`;
        throw invalidComposeFile(`failed to read ${path}${where}: ${why}`, cause);
    };
    const error = document.errors[0];
    if (error !== undefined)
        fail(error.pos[0], error.message, error);
    const tag = document.warnings.find((warning) => warning.code === 'TAG_RESOLVE_FAILED');
    if (lookup !== null && tag !== undefined)
        fail(tag.pos[0], `this Compose implementation does not know the tag (${tag.message})`);
    if (lookup !== null)
        fillIn(document, lookup, (offset, cause) => fail(offset, cause.message, cause));
    const content = document.toJS();
    if (!isMapping(content))
        return fail(0, 'it is not a mapping with services in it');
    for (const key of ['services', 'volumes']) {
        const value = content[key];
        const node = document.get(key, true);
        const offset = node?.range?.[0];
        if (value !== undefined && value !== null && !isMapping(value))
            fail(offset, `${key} is not a mapping`);
        if (key === 'services' && isMapping(value)) {
            for (const [name, service] of Object.entries(value)) {
                if (!isMapping(service)) {
                    const at = document.getIn(['services', name], true);
                    fail(at?.range?.[0] ?? offset, `the service ${name} is not a mapping`);
                }
            }
        }
    }
    return content;
}
/** Values only: Compose leaves keys as they are. */
function fillIn(document, lookup, fail) {
    (0,dist/* visit */.YR)(document, {
        Scalar(key, node) {
            if (key === 'key' || typeof node.value !== 'string' || !node.value.includes('$'))
                return;
            try {
                node.value = interpolate(node.value, lookup);
            }
            catch (error) {
                if (error instanceof InterpolationError)
                    fail(node.range?.[0], error);
                throw error;
            }
        },
    });
}
function invalidComposeFile(message, cause) {
    return new errors/* CaretakerError */.xT('compose-file-invalid', message, {
        hint: 'Mend the compose file or the variables it needs (.env, env-files); the compose program says the same with its verb config.',
        input: 'compose-files',
        cause,
    });
}
/** Compose's rules for several files: mappings merge, lists of the fields named here append, everything else is replaced. */
function mergeComposeFiles(files) {
    return files.reduce((merged, file) => mergeMapping(merged, file, []), {});
}
function mergeMapping(base, over, path) {
    const result = { ...base };
    for (const [key, value] of Object.entries(over)) {
        const inService = path[0] === 'services' && path.length === 2;
        result[key] =
            inService && base[key] !== undefined && base[key] !== null
                ? mergeServiceField(key, base[key], value, [...path, key])
                : mergeValue(base[key], value, [...path, key]);
    }
    return result;
}
function mergeValue(base, over, path) {
    if (isMapping(base) && isMapping(over))
        return mergeMapping(base, over, path);
    // `api-db:` with nothing after it, in the second file, does not take back what the first one said.
    return over === null && isMapping(base) ? base : over;
}
function mergeServiceField(key, base, over, path) {
    if (key === 'environment')
        return { ...asEnvironment(base), ...asEnvironment(over) };
    if (key === 'depends_on' && (Array.isArray(base) || Array.isArray(over))) {
        return [...new Set([...dependencyNames(base), ...dependencyNames(over)])];
    }
    if (key === 'volumes') {
        const targets = new Map();
        for (const volume of [...asList(base), ...asList(over)])
            targets.set(volumeTarget(volume), volume);
        return [...targets.values()];
    }
    if (['env_file', 'profiles', 'ports', 'expose', 'tmpfs'].includes(key))
        return [...asList(base), ...asList(over)];
    // A build context may be a bare path in one file and a mapping in the other.
    return mergeValue(base, over, path);
}
/**
 * Services that extend others of the same file, or of another by `load`, as Compose merges them. Throws `compose-file-invalid` for what
 * is not there or goes in a circle.
 */
async function resolveExtends(content, load, trail = []) {
    const services = asMapping(content['services']);
    const resolved = {};
    for (const name of Object.keys(services))
        resolved[name] = await extended(services, name, load, trail);
    return { ...content, services: resolved };
}
async function extended(services, name, load, trail) {
    const service = asMapping(services[name]);
    const reference = service['extends'];
    if (reference === undefined || reference === null)
        return service;
    const file = isMapping(reference) ? textOf(reference['file']) : undefined;
    const other = typeof reference === 'string' ? reference : textOf(asMapping(reference)['service']);
    const step = `${file ?? ''}#${other ?? ''}`;
    if (other === undefined || trail.includes(step)) {
        throw invalidComposeFile(`failed to resolve extends of the service ${name}: it names no service or goes in a circle`);
    }
    const from = file === undefined ? services : asMapping((await load(file))['services']);
    if (!isMapping(from[other])) {
        throw invalidComposeFile(`failed to resolve extends of the service ${name}: there is no service ${other}${file === undefined ? '' : ` in ${file}`}`);
    }
    const base = await extended(from, other, load, [...trail, step]);
    const { extends: _extends, ...own } = service;
    const merged = mergeMapping({ services: { [name]: base } }, { services: { [name]: own } }, []);
    return asMapping(asMapping(merged['services'])[name]);
}
/** The forms in which a compose file may write the same thing. */
function asMapping(value) {
    return isMapping(value) ? value : {};
}
function asList(value) {
    if (value === undefined || value === null)
        return [];
    return Array.isArray(value) ? value : [value];
}
function textOf(value) {
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
        ? String(value)
        : undefined;
}
/** `{A: b}` or `[A=b, C]` as a mapping; null for a value that comes from the process environment. */
function asEnvironment(value) {
    if (isMapping(value)) {
        return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, textOf(item) ?? null]));
    }
    return Object.fromEntries(asList(value).map((item) => {
        const text = textOf(item) ?? '';
        const equals = text.indexOf('=');
        return equals < 0 ? [text, null] : [text.slice(0, equals), text.slice(equals + 1)];
    }));
}
function dependencyNames(value) {
    if (isMapping(value))
        return Object.keys(value);
    return asList(value)
        .map(textOf)
        .filter((name) => name !== undefined);
}
function volumeTarget(volume) {
    if (isMapping(volume))
        return textOf(volume['target']) ?? '';
    const parts = (textOf(volume) ?? '').split(':');
    return parts[1] !== undefined && parts[1].startsWith('/') ? parts[1] : (parts[0] ?? '');
}

;// CONCATENATED MODULE: ./src/modes/database-major.ts






/**
 * Refuses a new version that brings another major version of PostgreSQL for a server that has data: it would not start on them. To be called when the new
 * images are there and the old version still serves. Where that is allowed, `postgres-major-dump` for data that could not go back. `postgres-major-change`.
 */
async function refuseMajorChange(tools, sources, allow) {
    const { engine } = tools.project;
    if (engine === null || serversIn(sources).length === 0)
        return;
    const { services } = await engine.compose.model();
    await compare(tools, sources, allow, (server) => services.find(({ name }) => name === server)?.image ?? undefined);
}
/**
 * The same before anything is touched, as far as the compose files tell as git has them at the target (those outside of the clone: as they are). An image that
 * depends on variables, or that only the build makes, is left to `refuseMajorChange`. `postgres-major-change`, `compose-file-invalid`.
 */
async function refuseMajorChangeAt(tools, sources, target, allow) {
    const { project, checkout } = tools;
    if (project.engine === null || serversIn(sources).length === 0)
        return;
    const files = [];
    for (const file of project.engine.compose.files) {
        const found = await at(file);
        // What takes its place, or comes out of local changes and the target's, is known when it is checked out.
        if (found.text === null)
            return;
        files.push(parseComposeFile(found.name, found.text, null));
    }
    const services = asMapping(mergeComposeFiles(files)['services']);
    await compare(tools, sources, allow, (server) => {
        const image = textOf(asMapping(services[server])['image']);
        return image?.includes('$') ? undefined : image;
    });
    async function at(file) {
        const inside = checkout === null ? '..' : external_node_path_default().relative(checkout.directory, await (0,promises_.realpath)(file));
        if (checkout === null || target === 'as-it-is' || inside.startsWith('..'))
            return { name: file, text: await (0,system_files/* readText */.yR)(file) };
        const changed = (await checkout.dirtyFiles()).includes(inside);
        const text = changed ? null : await checkout.show(target.commit, inside);
        return { name: `${inside} of ${target.label}`, text };
    }
}
async function compare({ project }, sources, allow, imageOf) {
    for (const server of serversIn(sources)) {
        const image = imageOf(server);
        if (image === undefined)
            continue;
        const now = await serverMajor(project, server);
        const next = await imageMajor(project, image);
        if (now === undefined || next === undefined || now === next)
            continue;
        if (allow.includes('postgres-major')) {
            const dump = sources.find((source) => source.server === server && source.loads);
            if (dump === undefined)
                continue;
            throw new errors/* CaretakerError */.xT('postgres-major-dump', `the new version runs PostgreSQL ${next} (${image}) as ${server}, and the way back for ${dump.name} would be a dump, which only a running server takes`, {
                input: 'data',
                hint: `If PostgreSQL ${next} fails, its server is no place for the dump of PostgreSQL ${now}. Set method=physical for ${dump.name}: its directory comes back as it was.`,
            });
        }
        throw new errors/* CaretakerError */.xT('postgres-major-change', `the new version runs PostgreSQL ${next} (${image}) as ${server}, whose data are of PostgreSQL ${now}`, {
            input: 'allow',
            hint: `PostgreSQL ${next} does not start on them. Take a dump (mode backup, data: type=postgres,service=${server},method=dump), update, and restore it; or keep an image of PostgreSQL ${now}. If that image upgrades its data by itself, add "postgres-major" to allow.`,
        });
    }
}
function serversIn(sources) {
    return sources.flatMap(({ kind, server }) => (kind === 'postgres' && server !== undefined ? [server] : []));
}

;// CONCATENATED MODULE: ./src/modes/images.ts

// A full name (with `localhost/`), since Podman gives short names one and Docker does not. Project names hold no dot.
const protection = (project) => `localhost/compose-caretaker/protected:${project}.`;
const images_failure = (project) => `localhost/compose-caretaker/failed:${project}.`;
/**
 * The images that run now get a name of ours, so that a build that reuses their tag, and a prune after it (USO's own script does both),
 * can't take away the way back. Answers with the names to put back on failure.
 */
async function protectImages(project, run) {
    if (project.engine === null)
        return [];
    const { runtime } = project.engine;
    const names = [];
    for (const { service, imageId, imageName, oneOff } of await project.containers()) {
        if (oneOff || names.some(({ name }) => name === imageName))
            continue;
        await runtime.tag(imageId, `${protection(project.name)}${service}.${run}`);
        // A name by digest can't be moved, and an image without a name has none to go back to.
        if (imageName !== '' && !imageName.includes('@') && !imageName.startsWith('sha256:'))
            names.push({ name: imageName, id: imageId, was: await runtime.imageId(imageName) });
    }
    return names;
}
/** All names of ours that images have because of this project. */
async function protectedNames(project) {
    if (project.engine === null)
        return [];
    const { runtime } = project.engine;
    const names = await Promise.all([protection, images_failure].map((prefix) => runtime.imageNames(prefix(project.name))));
    return names.flat().sort();
}
/** Versions whose images stay protected: the one before the last update, and one more. */
const PROTECTED_VERSIONS = 2;
/**
 * Puts the old names back where a build or a pull moved them. `failed`: what they stood for meanwhile gets a name of ours until `dropRun`; nameless, the images
 * of every version that failed would stay for ever.
 */
async function imagesBack(project, names, { failed = false } = {}) {
    if (project.engine === null)
        return;
    const { runtime } = project.engine;
    for (const [index, { name, id, was }] of names.entries()) {
        const now = await runtime.imageId(name);
        if (now === id)
            continue;
        if (failed && now !== null && was !== undefined && now !== was)
            await runtime.tag(now, `${images_failure(project.name)}${index}`);
        await runtime.tag(id, name);
    }
}
/**
 * After a rollback: what serves has its own names again, and needs no protection of this run's. Images of the failed version that have no other name go with
 * theirs.
 */
async function dropRun(project, run) {
    if (project.engine === null)
        return;
    const { runtime } = project.engine;
    const kept = await runtime.imageNames(protection(project.name));
    const failed = await runtime.imageNames(images_failure(project.name));
    for (const name of [...kept.filter((one) => one.endsWith(`.${run}`)), ...failed])
        await runtime.untag(name);
}
/** Removes the protections of all runs but the newest `keep`. The images stay as long as they have other names or run. */
async function dropProtections(project, keep) {
    if (project.engine === null)
        return;
    const { runtime } = project.engine;
    const names = await runtime.imageNames(protection(project.name));
    const runOf = (name) => name.slice(name.lastIndexOf('.') + 1);
    const runs = [...new Set(names.map(runOf))].sort();
    const old = new Set(keep === 0 ? runs : runs.slice(0, -keep));
    for (const name of names)
        if (old.has(runOf(name)))
            await runtime.untag(name);
}
/** Services whose running image is not the one that their name in the compose file stands for now. */
async function changedImages(project) {
    if (project.engine === null)
        return [];
    const { runtime, compose } = project.engine;
    const containers = await project.containers();
    const changes = [];
    for (const { name: service, image } of (await compose.model()).services) {
        const running = containers.find((container) => container.service === service && !container.oneOff);
        if (running === undefined)
            continue;
        const name = image ?? running.imageName;
        const to = await runtime.imageId(name);
        if (to !== null && to !== running.imageId)
            changes.push({ service, name, from: running.imageId, to });
    }
    return changes;
}
/**
 * The room that building or pulling takes, reckoned as the size of today's images of the services that are made anew: those that the compose file builds, with a command
 * those that came from no registry, with `pull` the others. Layers that old and new share are counted all the same. Nothing where the engine's storage can't be seen
 * from here.
 */
async function roomForImages(project, build) {
    if (project.engine === null || build.kind === 'none')
        return [];
    const { runtime, compose } = project.engine;
    const directory = await runtime.storage();
    if (!(0,external_node_fs_.existsSync)(directory))
        return [];
    const { services } = await compose.model();
    const sizes = new Map();
    for (const { service, imageId, oneOff } of await project.containers()) {
        const builds = services.some(({ name, build: builds }) => name === service && builds);
        const anew = build.kind === 'command'
            ? (await runtime.imageDigests(imageId)).length === 0
            : build.kind === 'pull'
                ? !builds
                : builds;
        if (anew && !oneOff)
            sizes.set(imageId, (await runtime.imageBytes(imageId)) ?? 0);
    }
    const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    return bytes === 0
        ? []
        : [{ directory, bytes, what: 'the new images, if they are as large as those that they replace' }];
}

;// CONCATENATED MODULE: ./src/modes/switch-over.ts





/** The first steps of every change of version, undone last: what serves now will serve again, and what the run kept in case goes. Answers with the services. */
async function noteWhatServes(tools, { keepLocal, keepLocalDays }) {
    const { project, run, saga } = tools;
    const services = await runningServices(project);
    const known = await knownServices(project);
    const running = await runningContainers(project);
    await saga.step('begin', { undo: { action: 'clean-up', data: { run, keepLocal, keepLocalDays } } }, () => Promise.resolve());
    await saga.step('note what serves', { undo: serveAgain({ services, by: 'up', known, running }) }, () => Promise.resolve());
    return services;
}
/**
 * From one version to another on the same data: the bulk of a backup → stop what writes → the rest of it, verified, on this host → `change`, which brings
 * up the other version → health → `commit`. Whatever fails puts the data back; what changed code and images before is undone by the steps that did so.
 */
async function switchOver(tools, patience, { serving, ...what }, change, commit) {
    const { project, recorder, saga } = tools;
    const directory = external_node_path_default().join(project.stateDirectory, 'staging', `${tools.run}-backup`);
    const request = { ...what, directory };
    let warm;
    try {
        if (serving.length > 0)
            warm = await warmBackup(tools, request);
        const resting = await restingServices(tools, request.sources);
        await recorder.step('Stop the services that write', () => saga.step('stop writers', { undo: null }, async () => {
            recorder.away();
            await project.stop(resting);
        }));
        const situation = serving.length === 0 ? 'stopped' : 'quiesced';
        const captured = await captureBackup(tools, { ...request, situation }, warm);
        await storeBackup(tools, captured, tools.local);
        // A server that is told to stop might wait for a session of ours.
        await warm?.end();
        const dataBack = { action: 'data-back', data: { backup: captured.manifest.name, run: tools.run } };
        await saga.step('switch', { undo: dataBack }, change);
        await becomeHealthy(tools, patience);
        return await commit(captured);
    }
    finally {
        await warm?.end();
        await (0,promises_.rm)(directory, { recursive: true, force: true });
    }
}
/** What stands still for the last of a backup: what writes, and what depends on it, but not the database servers out of which it comes. */
async function restingServices({ project }, sources) {
    const servers = serversOf(sources);
    const writers = (await data_writersOf(project, sources)).filter((service) => !servers.includes(service));
    return (await withDependents(project, writers)).filter((service) => !servers.includes(service));
}
/** A container that dies at once makes Compose itself fail: what it said is worth as much as after a failed health check. */
async function bringUp(tools) {
    try {
        await tools.project.up();
    }
    catch (error) {
        await noteLastWords(tools);
        throw error;
    }
}

;// CONCATENATED MODULE: ./src/modes/avoided.ts



const fileIn = (stateDirectory) => external_node_path_default().join(stateDirectory, 'avoided.json');
async function avoid(stateDirectory, version) {
    await (0,system_files/* writeAtomic */.vZ)(fileIn(stateDirectory), `${JSON.stringify(version, null, 2)}\n`);
}
async function avoidNothing(stateDirectory) {
    await (0,promises_.rm)(fileIn(stateDirectory), { force: true });
}
async function avoided(stateDirectory) {
    const text = await (0,system_files/* readText */.yR)(fileIn(stateDirectory));
    return text === null ? null : JSON.parse(text);
}

;// CONCATENATED MODULE: ./src/modes/target.ts


/**
 * What to update to. `nothing-new`: the code that is deployed is the newest that is asked for. `as-it-is`: no git clone here, or nothing to ask it;
 * only images can be newer. Fetching changes nothing but the clone's knowledge of its remote.
 */
async function chooseTarget(tools, settings) {
    const { checkout, log } = tools;
    if (checkout === null) {
        if (settings.ref !== undefined || settings.track !== undefined) {
            throw new errors/* CaretakerError */.xT('not-a-clone', `there is no git clone in ${settings.sourceDirectory ?? tools.project.directory} to update by ref or track`, {
                input: 'source-directory',
                hint: 'Set source-directory to the clone that the images are built from, or leave ref and track empty to update images only.',
            });
        }
        return 'as-it-is';
    }
    await checkout.fetch();
    const target = await checkout.resolveTarget(settings);
    const head = await checkout.head();
    if (target === null || target.commit === head.commit) {
        // Tags of images may move without the code: that is what `build: pull` asks for.
        if (settings.build.kind === 'pull')
            return 'as-it-is';
        log.info(`${head.tag ?? head.describe ?? head.commit} is deployed, and there is nothing newer`);
        return 'nothing-new';
    }
    const bad = settings.ref === undefined && settings.eventTag === undefined ? await avoided(tools.project.stateDirectory) : null;
    if (bad?.commit === target.commit) {
        tools.recorder.warn(`${target.label} was tried on ${bad.at} and did not do (${bad.why}): it is passed over until there is a newer version. To try it again, give it as "ref".`);
        return 'nothing-new';
    }
    await checkout.gate(target, settings.allow);
    log.info(`${head.tag ?? head.describe ?? head.commit} → ${target.label}`);
    return target;
}

;// CONCATENATED MODULE: ./src/archive/image-archive.ts




/** A list or a configuration is some kilobytes. */
const MAX_JSON_BYTES = 1024 * 1024;
/** Where names of images may stand, and the configurations: `<hex>.json`, since Docker 25 `blobs/sha256/<hex>`, as the OCI image layout has it. */
const READ = /^(?:manifest\.json|index\.json|repositories|[0-9a-f]{64}\.json|blobs\/sha256\/[0-9a-f]{64})$/;
/** The annotations of an `index.json` by which Docker with containerd's store, and Podman, name what they load. */
const NAMING = /"(?:io\.containerd\.image\.name|org\.opencontainers\.image\.ref\.name)"/;
/**
 * Walks over an archive in the format of `docker save`, which somebody else may have made, before an engine loads it: each image has the digest of its own configuration for an
 * id, is for that platform (`linux/amd64`), and brings no name, since loading would move it, whosever it is. A configuration holds the digests of its layers, which the
 * engines compare as they load. Answers with the ids (`sha256:…`) and the SHA-256 of the archive. Throws `image-archive-bad`, and `part-damaged` or `part-hostile` for
 * what is wrong with the tar itself.
 */
async function checkImageArchive(file, platform) {
    const hash = (0,external_node_crypto_.createHash)('sha256');
    const texts = new Map();
    let current;
    const walk = checkTar((0,external_node_fs_.createReadStream)(file), {
        onMember({ path: name, type, size }) {
            current = undefined;
            if (!READ.test(name))
                return;
            // An engine may take the one that was not looked at.
            if (texts.has(name) || type !== 'file')
                throw bad(`${name} is there twice, or is no file`);
            // A layer of the newer form.
            if (size <= MAX_JSON_BYTES)
                texts.set(name, (current = []));
            else if (!name.startsWith('blobs/'))
                throw bad(`${name} is too long`);
        },
        onContent: (content) => current?.push(Buffer.from(content)),
    });
    for await (const chunk of walk)
        hash.update(chunk);
    const text = (name) => {
        const pieces = texts.get(name);
        return pieces === undefined ? null : Buffer.concat(pieces);
    };
    const json = (name) => {
        const content = text(name);
        if (content === null)
            return null;
        try {
            return JSON.parse(content.toString('utf8'));
        }
        catch {
            throw bad(`${name} is not JSON`);
        }
    };
    const manifest = json('manifest.json');
    const listed = Array.isArray(manifest) ? manifest : [];
    if (listed.length === 0)
        throw bad('it lists no image');
    if (Object.keys(json('repositories') ?? {}).length > 0 || NAMING.test(JSON.stringify(json('index.json'))))
        throw bad('it would move a name');
    const ids = listed.map((image) => {
        const { Config: config, RepoTags: names } = (image ?? {});
        const named = names === undefined || names === null ? '' : JSON.stringify(names);
        if (named !== '' && named !== '[]')
            throw bad(`it would move the name ${named}`);
        const content = typeof config === 'string' ? text(config) : null;
        const hex = typeof config === 'string' ? /[0-9a-f]{64}/.exec(config)?.[0] : undefined;
        if (content === null || hex === undefined)
            throw bad('it lacks the configuration of an image');
        if ((0,external_node_crypto_.createHash)('sha256').update(content).digest('hex') !== hex)
            throw bad(`the configuration ${hex} is another one`);
        const { os, architecture } = (json(config) ?? {});
        const made = `${String(os)}/${String(architecture)}`;
        if (made !== platform)
            throw bad(`it is for ${made}, and this is ${platform}`);
        return `sha256:${hex}`;
    });
    return { sha256: hash.digest('hex'), ids: new Set(ids) };
}
function bad(why) {
    return new errors/* CaretakerError */.xT('image-archive-bad', why);
}

;// CONCATENATED MODULE: ./src/runtimes/nameless.ts

/** Removes an image that has no name, unless something uses it. One that has a name, or is not there, is left alone. */
async function removeNameless(runtime, id) {
    if ((await runtime.imageId(id)) === null)
        return;
    // An image goes with its last name.
    const name = `localhost/compose-caretaker/nameless:${(0,external_node_crypto_.randomUUID)()}`;
    await runtime.tag(id, name);
    await runtime.untag(name);
}

;// CONCATENATED MODULE: ./src/modes/image-cache.ts








const LIST = 'images.json';
const ARCHIVE = 'images.tar';
const FILES = [LIST, ARCHIVE];
const image_cache_MAX_LIST_BYTES = 64 * 1024;
/**
 * Takes what an earlier run built of this very commit, on whatever host, out of the cache; false where it is to be built. Whatever is wrong with the cache or the
 * entry is a warning, and nothing of the entry reaches a name before all of it was found to be what it says.
 */
async function imagesFromCache(tools, settings) {
    return withEntry(tools, settings, 'build', async (entry, engine) => {
        const found = await tools.cache.find(entry);
        if (!found.ok) {
            if (found.problem !== undefined)
                throw new NotUsable(found.problem);
            tools.log.info(`The cache has nothing under ${entry.key}`);
            return false;
        }
        const { runtime, compose } = engine;
        const services = (await compose.model()).services.filter((service) => mayBeBuilt(settings, service));
        const list = await readList(entry, await runtime.platform());
        const unknown = Object.keys(list.images).filter((name) => !services.some((service) => service.name === name));
        const missing = services.filter(({ name, build }) => build && list.images[name] === undefined);
        if (unknown.length + missing.length > 0)
            throw new NotUsable('it holds the images of other services');
        const ids = [...new Set(Object.values(list.images))];
        const absent = [];
        for (const id of ids)
            if ((await runtime.imageId(id)) === null)
                absent.push(id);
        try {
            if (absent.length > 0)
                await runtime.loadImages(external_node_path_default().join(entry.folder, ARCHIVE));
            for (const id of ids)
                if ((await runtime.imageId(id)) === null)
                    throw new NotUsable(`it has not brought ${id}`);
        }
        catch (error) {
            for (const id of absent)
                await removeNameless(runtime, id);
            throw error;
        }
        for (const [name, id] of Object.entries(list.images)) {
            const service = services.find((one) => one.name === name);
            if (service !== undefined)
                await runtime.tag(id, imageNameOf(engine, tools.project.name, service));
        }
        tools.log.info(`Loaded ${Object.keys(list.images).join(', ')} from the cache (${entry.key})`);
        return true;
    });
}
/** Stores what serves now for other hosts, unless it is there already. */
async function imagesToCache(tools, settings) {
    await withEntry(tools, settings, 'go without', async (entry, engine) => {
        if ((await tools.cache.has(entry)).ok)
            return true;
        const { runtime, compose } = engine;
        const images = {};
        let size = 0;
        for (const service of (await compose.model()).services) {
            if (!mayBeBuilt(settings, service))
                continue;
            const id = await runtime.imageId(imageNameOf(engine, tools.project.name, service));
            // A command may build what it likes; what came from a registry comes from there again.
            if (id === null || (!service.build && (await runtime.imageDigests(id)).length > 0))
                continue;
            if (!Object.values(images).includes(id))
                size += (await runtime.imageBytes(id)) ?? 0;
            images[service.name] = id;
        }
        if (size === 0)
            return true;
        const free = await freeBytes(entry.folder);
        // The archive, and the client's compressed one of it.
        if (free < 2 * size)
            throw new NotUsable(`saving needs ${(0,units/* formatBytes */.z3)(2 * size)} of disk, and ${(0,units/* formatBytes */.z3)(free)} are free`);
        const archive = external_node_path_default().join(entry.folder, ARCHIVE);
        await runtime.saveImages([...new Set(Object.values(images))], archive);
        // Podman writes for everybody to read.
        await (0,promises_.chmod)(archive, 0o600);
        const sha256 = await sameImages(archive, images, await runtime.platform());
        const list = { format: 1, key: entry.key, sha256, images };
        await (0,promises_.writeFile)(external_node_path_default().join(entry.folder, LIST), JSON.stringify(list), { mode: 0o600 });
        const kept = await tools.cache.keep(entry);
        if (!kept.ok)
            throw new NotUsable(kept.problem ?? 'another run may have stored the same');
        tools.log.info(`Stored ${Object.keys(images).join(', ')} in the cache (${entry.key})`);
        return true;
    });
}
/** What the cache may bring: what the compose file builds, and with a command of the user's own whatever that may have made. */
function mayBeBuilt({ build }, service) {
    if (build.kind === 'command')
        return service.build || service.image !== null;
    return service.build && (build.kind === 'auto' || build.kind === 'compose');
}
function imageNameOf({ compose }, project, { name, image }) {
    return image ?? `${project}${compose.dialect.capabilities.imageSeparator}${name}`;
}
/** Does the work in a folder of its own with the entry of what is checked out. False, with a warning, for whatever goes wrong. */
async function withEntry(tools, settings, otherwise, work) {
    const { project, recorder } = tools;
    const { engine } = project;
    if (engine === null || settings.build.kind === 'pull' || settings.build.kind === 'none')
        return false;
    const folder = external_node_path_default().join(project.stateDirectory, 'staging', `${tools.run}.images`);
    let key;
    try {
        if (!tools.cache.available)
            throw new NotUsable('this is no job of a workflow that has one');
        key = await keyOf(tools, settings, engine);
        await (0,promises_.mkdir)(folder, { mode: 0o700 });
        return await work({ key, folder, files: FILES }, engine);
    }
    catch (error) {
        // What serves already is not given up for the sake of others.
        if (tools.signal.aborted && otherwise === 'build')
            throw error;
        const which = key === undefined ? '' : ` (${key})`;
        const then = otherwise === 'build' ? 'The images are built' : 'The next host builds the images, instead of loading them';
        recorder.warn(`The cache of images is of no use${which}: ${(0,errors/* messageOf */.bD)(error)}. ${then}`);
        return false;
    }
    finally {
        await (0,promises_.rm)(folder, { recursive: true, force: true });
    }
}
/**
 * What a build depends on: the commit, the platform, how it is built, and the arguments that the compose file hands in (whoever may read the key may read the image, which
 * shows them as well). Throws where the commit does not tell what the files are.
 */
async function keyOf(tools, { build }, engine) {
    const { checkout, project } = tools;
    if (checkout === null)
        throw new NotUsable('without a git clone nothing tells which version the images are of');
    const changed = await checkout.dirtyFiles();
    if (changed.length > 0)
        throw new NotUsable(`the clone has local changes: ${changed.slice(0, 5).join(', ')}`);
    const { commit } = await checkout.head();
    const { services } = await engine.compose.model();
    const options = services.filter((service) => service.build).map(({ name, buildOptions }) => [name, buildOptions]);
    const how = (0,external_node_crypto_.createHash)('sha256')
        .update(JSON.stringify([build, options]))
        .digest('hex')
        .slice(0, 16);
    const platform = (await engine.runtime.platform()).replaceAll('/', '-');
    return `compose-caretaker-images-1-${project.name}-${platform}-${commit}-${how}`;
}
/** The entry's own list, after all of the entry was found to be what the list says. */
async function readList({ key, folder }, platform) {
    for (const name of FILES) {
        const found = await (0,promises_.lstat)(external_node_path_default().join(folder, name)).catch(() => null);
        if (found?.isFile() !== true)
            throw new NotUsable(`it has no file ${name}`);
        if (name === LIST && found.size > image_cache_MAX_LIST_BYTES)
            throw new NotUsable(`${name} has ${(0,units/* formatBytes */.z3)(found.size)}`);
    }
    let list;
    try {
        list = JSON.parse(await (0,promises_.readFile)(external_node_path_default().join(folder, LIST), 'utf8'));
    }
    catch {
        throw new NotUsable(`${LIST} is not JSON`);
    }
    const images = list?.images;
    const whole = list?.format === 1 &&
        typeof images === 'object' &&
        images !== null &&
        Object.values(images).every((id) => typeof id === 'string' && /^sha256:[0-9a-f]{64}$/.test(id));
    if (!whole || Object.keys(list.images).length === 0)
        throw new NotUsable(`${LIST} is no list of images`);
    if (list.key !== key)
        throw new NotUsable('it was stored for something else');
    const sha256 = await sameImages(external_node_path_default().join(folder, ARCHIVE), list.images, platform);
    if (sha256 !== list.sha256)
        throw new NotUsable('its digest is not the one that was written down');
    return list;
}
/** The SHA-256 of an archive that was found to hold exactly these images. */
async function sameImages(file, images, platform) {
    const { sha256, ids } = await checkImageArchive(file, platform).catch((error) => {
        throw new NotUsable((0,errors/* messageOf */.bD)(error));
    });
    const wanted = new Set(Object.values(images));
    if (ids.size !== wanted.size || [...ids].some((id) => !wanted.has(id)))
        throw new NotUsable('it does not hold the images that it lists');
    return sha256;
}
/** Never leaves this file: its text becomes a warning. */
class NotUsable extends Error {
}

;// CONCATENATED MODULE: ./src/modes/build.ts


/**
 * Gets the new images while the old version serves. `auto`: build what the compose file builds, pull what is not on the host yet; a name that is on the host is not pulled
 * anew, since a release pins its tags and a local build can't be pulled at all (`pull` asks the registries for all). Whatever the way: an image that
 * nothing has brought is pulled now, since `up` would do it when nobody is served any more, and fail then. Throws `image-missing` when that is in vain too.
 * `wanted`: only for these services; a command or the cache may bring more.
 */
async function prepareImages(tools, settings, wanted) {
    const { build } = settings;
    const { engine } = tools.project;
    const cached = settings.cacheImages && (await imagesFromCache(tools, settings));
    if (build.kind === 'command' && !cached)
        await buildByCommand(tools, settings, build.command);
    if (engine === null)
        return;
    const { compose, runtime } = engine;
    const services = (await compose.model()).services.filter(({ name }) => wanted?.includes(name) ?? true);
    if (build.kind === 'pull')
        await compose.pull(wanted);
    if ((build.kind === 'auto' || build.kind === 'compose') && !cached) {
        const built = services.filter((service) => service.build).map(({ name }) => name);
        if (built.length > 0)
            await compose.build(built);
    }
    const absent = async () => {
        const found = [];
        for (const { name: service, image, build: builds } of services) {
            if (!builds && image !== null && (await runtime.imageId(image)) === null)
                found.push({ service, image });
        }
        return found;
    };
    const missing = await absent();
    if (missing.length === 0)
        return;
    try {
        await compose.pull(missing.map(({ service }) => service));
    }
    catch (error) {
        if (!(error instanceof errors/* CaretakerError */.xT && ['compose-failed', 'command-failed'].includes(error.code)))
            throw error;
        throw imageMissing(missing, error);
    }
    // podman-compose and names of `localhost/` are not asked for.
    const still = await absent();
    if (still.length > 0)
        throw imageMissing(still);
}
function imageMissing(missing, cause) {
    const names = missing.map(({ service, image }) => `${image} (${service})`).join(', ');
    return new errors/* CaretakerError */.xT('image-missing', `the new version needs ${names}, which ${missing.length === 1 ? 'is' : 'are'} not on this host and can't be pulled`, {
        input: 'build',
        hint: 'Look whether the release names a tag that was published, and whether this host may pull it. An image that is built here needs a "build" that makes it.',
        ...(cause === undefined ? {} : { cause }),
    });
}
async function buildByCommand(tools, settings, command) {
    const ended = await run(tools, settings, command, settings.sourceDirectory ?? tools.project.directory);
    if (ended.exitCode === 0)
        return;
    throw new errors/* CaretakerError */.xT('build-failed', `the build command ended with code ${ended.exitCode}: ${command}`, {
        input: 'build',
        hint: `Its last lines were:\n${ended.tail}`,
    });
}
/** `env`: in a rehearsal, what leads Compose to the throwaway. Throws `migration-failed`: the data are undone then like everything else. */
async function migrate(tools, settings, command, env = {}) {
    const ended = await run(tools, settings, command, tools.project.directory, env);
    if (ended.exitCode === 0)
        return;
    throw new errors/* CaretakerError */.xT('migration-failed', `the migrate command ended with code ${ended.exitCode}: ${command}`, {
        input: 'migrate-command',
        hint: `Its last lines were:\n${ended.tail}`,
    });
}
function run(tools, settings, command, cwd, env = {}) {
    const { log, signal } = tools;
    return tools.runAuthorCommand(command, {
        ...{ cwd, signal, env },
        onLine: (line) => log.info(line),
        timeoutMs: settings.buildTimeoutMs,
    });
}

;// CONCATENATED MODULE: ./src/modes/report.ts

/** The report's sections of one mode. */
function sectionsOf(outcome, { recorder, project }) {
    switch (outcome.mode) {
        case 'backup':
            return backupSections(outcome.captured.manifest, recorder.stored, project.directory);
        case 'update':
        case 'rehearse': {
            const images = outcome.changed.map(({ service, from, to }) => ({ service, from, to }));
            const changedServices = images.map(({ service }) => service);
            const update = { from: outcome.from, to: outcome.to, changedServices, images };
            if (outcome.captured === undefined)
                return { update };
            return { update, ...backupSections(outcome.captured.manifest, recorder.stored, project.directory) };
        }
        case 'rollback': {
            const { update, restored, captured } = outcome;
            const versions = { update: { from: update.to, to: update.from, changedServices: [] } };
            if (captured !== undefined)
                return versions;
            return {
                ...versions,
                restore: { backup: restored ?? update.backup, parts: [], safetyBackup: recorder.safetyBackup },
            };
        }
        case 'verify':
            return { verify: { backup: outcome.chosen.manifest.name, level: outcome.level, proven: outcome.proven } };
        case 'restore': {
            const { chosen, parts } = outcome;
            return { restore: { backup: chosen.manifest.name, parts, safetyBackup: recorder.safetyBackup } };
        }
    }
}
function backupSections(manifest, stores, directory) {
    const parts = manifest.parts.map(({ name, kind, method, files, seconds, consistency }) => ({
        ...{ name, kind, method, seconds, consistency },
        bytes: files.reduce((sum, file) => sum + file.bytes, 0),
        rawBytes: files.reduce((sum, file) => sum + file.rawBytes, 0),
    }));
    const total = (key) => parts.reduce((sum, part) => sum + part[key], 0);
    return {
        backup: { name: manifest.name, parts, stores, bytes: total('bytes'), rawBytes: total('rawBytes') },
        left: manifest.left,
        restoreInstructions: {
            command: `compose-caretaker restore --project-directory ${quoted(directory)} --backup ${manifest.name} --confirm ${manifest.project}`,
            file: instructionsFile(manifest.name),
        },
    };
}
/** For a shell. */
function quoted(text) {
    return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
function listSection(listed) {
    return {
        backups: listed.map(({ createdAt, expiresAt, project: _ours, ids: _files, ...backup }) => ({
            ...backup,
            createdAt: createdAt.toISOString(),
            expiresAt: expiresAt?.toISOString(),
        })),
    };
}
/** The action's outputs, by name; all are texts. Made of the report and nothing else. */
function outputsOf(report, artifactIds) {
    const { backup, update, restore, verify, backups, downtimeSeconds = 0, outcome } = report;
    const name = backup?.name ?? restore?.backup ?? verify?.backup;
    const serves = report.plan === undefined && ['done', 'no-op', 'incomplete'].includes(outcome) ? update?.to : update?.from;
    return {
        ...(name === undefined ? {} : { backup: name, manifest: manifestFile(name) }),
        ...(backup === undefined ? {} : { bytes: String(backup.bytes), 'artifact-ids': artifactIds.join(',') }),
        ...(report.mode === 'update' || report.mode === 'rehearse'
            ? { updated: String(report.mode === 'update' && (outcome === 'done' || outcome === 'incomplete')) }
            : {}),
        ...(typeof update?.from === 'string' ? { 'previous-version': update.from } : {}),
        ...(typeof serves === 'string' ? { version: serves } : {}),
        'rolled-back': String(outcome === 'rolled-back'),
        'downtime-seconds': downtimeSeconds.toFixed(1).replace(/\.0$/, ''),
        ...(restore?.safetyBackup === undefined ? {} : { 'safety-backup': restore.safetyBackup }),
        ...(verify === undefined ? {} : { proof: outcome === 'done' ? verify.level : 'none' }),
        ...(backups === undefined ? {} : { backups: JSON.stringify(backups) }),
        ...(report.status === undefined ? {} : { status: JSON.stringify(report.status) }),
    };
}

;// CONCATENATED MODULE: ./src/compose/ports.ts

/** The fixed TCP ports of the host that the services publish; not those that the engine chooses. In either form, ranges one by one. */
function publishedPorts(document) {
    return Object.entries(asMapping(document['services'])).flatMap(([service, fields]) => asList(asMapping(fields)['ports']).flatMap((port) => (isMapping(port) ? longForm(port) : shortForm(textOf(port) ?? '')).map((one) => ({ service, ...one }))));
}
function longForm(port) {
    if ((textOf(port['protocol']) ?? 'tcp') !== 'tcp')
        return [];
    return pairs(textOf(port['host_ip']) ?? '', textOf(port['published']) ?? '', textOf(port['target']) ?? '');
}
/** `[[IP:]HOST:]CONTAINER[/PROTOCOL]`, an IPv6 address in brackets or bare. */
function shortForm(text) {
    const [, ip = '', host = '', container = '', protocol = 'tcp'] = /^(?:(?:(\[.*\]|.*?):)?([\d-]*):)?([\d-]+)(?:\/(\w+))?$/.exec(text.trim()) ?? [];
    return protocol === 'tcp' ? pairs(ip.replace(/^\[|\]$/g, ''), host, container) : [];
}
function pairs(hostIp, hosts, containers) {
    const [host, container] = [range(hosts), range(containers)];
    // A range of the host for one port of the container: the engine chooses.
    if (host.length !== container.length)
        return [];
    return host
        .map((hostPort, index) => ({ hostIp, hostPort, containerPort: container[index] ?? 0 }))
        .filter(({ hostPort }) => hostPort > 0);
}
function range(text) {
    const [, from, to = from] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
    if (from === undefined)
        return [];
    const length = Number(to) - Number(from) + 1;
    return length < 1 || length > 65_536 ? [] : Array.from({ length }, (_, index) => Number(from) + index);
}

// EXTERNAL MODULE: external "node:net"
var external_node_net_ = __webpack_require__(77030);
;// CONCATENATED MODULE: ./src/system/ports.ts

/** Why nobody could listen on this TCP port now, for an error's text; undefined where somebody could, or where this user may not find out. `''` stands for all addresses. */
async function whyTaken(address, port) {
    const server = (0,external_node_net_.createServer)();
    try {
        await new Promise((resolve, reject) => {
            server
                .once('error', reject)
                .listen({ port, host: address === '' ? '0.0.0.0' : address, exclusive: true }, resolve);
        });
        return undefined;
    }
    catch (error) {
        const { code } = error;
        if (code === 'EADDRINUSE')
            return 'another process listens there (address already in use)';
        if (code === 'EADDRNOTAVAIL')
            return 'this host has no such address';
        return undefined;
    }
    finally {
        server.close();
    }
}

;// CONCATENATED MODULE: ./src/modes/free-ports.ts



/**
 * Refuses a version that publishes a port of this host which something else has: its containers would not start, when the old ones are gone. What the project itself publishes now is its own. Throws
 * `port-taken`.
 */
async function refuseTakenPorts({ project }) {
    if (project.engine === null)
        return;
    const own = new Set((await project.containers()).flatMap(({ ports }) => ports.map(({ hostPort }) => hostPort)));
    for (const { service, hostIp, hostPort } of publishedPorts(await project.engine.compose.document())) {
        const why = own.has(hostPort) ? undefined : await whyTaken(hostIp, hostPort);
        if (why === undefined)
            continue;
        throw new errors/* CaretakerError */.xT('port-taken', `the new version can't start: ${service} is to publish ${hostIp === '' ? '' : `${hostIp}:`}${hostPort}, and ${why}`, { hint: 'Stop what listens there, or give the service another port in the compose file or in .env.' });
    }
}

;// CONCATENATED MODULE: ./src/modes/checks.ts


/** The user's own checks of what was restored. Throws `check-failed` with what a check answered. */
async function proveChecks(throwaway, checks, note) {
    const { recorder } = throwaway.tools;
    for (const check of checks) {
        const title = check.type === 'sql' ? check.query : check.run;
        note([
            await recorder.step(`Check: ${title}`, () => check.type === 'sql' ? proveSql(throwaway, check) : proveCommand(throwaway, check.run)),
        ]);
    }
}
/** A query's answer must be what is expected or, where nothing is, anything but empty, `f` and `0`. */
async function proveSql({ tools, staged }, { part, database, query, expect }) {
    const answer = await ask();
    const right = expect === undefined ? !['', 'f', '0'].includes(answer) : answer === expect;
    if (right)
        return `${query}: ${answer}`;
    throw checkFailed(query, `it answered "${answer}"${expect === undefined ? '' : `, not "${expect}"`}`);
    async function ask() {
        const found = staged.find((one) => one.part.name === part);
        if (found === undefined)
            throw checkFailed(query, `the backup has no part ${part}`);
        const { source } = found;
        if (source.kind === 'sqlite')
            return tools.project.files.querySqlite(source.origin.path, query);
        if (source.server === undefined)
            throw checkFailed(query, `${part} is no database`);
        const user = found.part.postgres?.user ?? 'postgres';
        const server = await openServer(tools.project, tools.log, { service: source.server, user });
        const known = found.part.postgres?.databases ?? [];
        const name = database ?? (known.length === 1 ? known[0] : known.find((one) => one !== 'postgres')) ?? 'postgres';
        const [psql, ...words] = server.psql;
        const argv = [psql, ...words.slice(0, -1), conninfo(name), '-c', query];
        const { exitCode, stdout, stderr } = await server.run(argv);
        if (exitCode !== 0)
            throw checkFailed(query, stderr.trim());
        return stdout.trim();
    }
}
/** With the throwaway's name and compose file where Compose looks for them. */
async function proveCommand({ tools, plan }, run) {
    const { log, signal, runAuthorCommand } = tools;
    const { exitCode, tail } = await runAuthorCommand(run, {
        ...{ cwd: plan.base, signal, onLine: (line) => log.info(line), timeoutMs: CHECK_MS },
        env: throwawayEnv(tools, plan.file),
    });
    const said = tail.trim().split('\n').at(-1) ?? '';
    if (exitCode !== 0)
        throw checkFailed(run, `it ended with code ${exitCode}: ${said}`);
    return `${run}: ended with code 0${said === '' ? '' : `: ${said}`}`;
}
/** What a command needs to mean the throwaway: the variables of Compose, and one by which the command itself can tell. */
function throwawayEnv({ project }, file) {
    return { CARETAKER_THROWAWAY: project.name, COMPOSE_PROJECT_NAME: project.name, COMPOSE_FILE: file };
}
const CHECK_MS = 3_600_000;
function checkFailed(check, why) {
    return new errors/* CaretakerError */.xT('check-failed', `the check "${check}" failed on the restored data: ${why}`, {
        input: 'check',
        hint: 'Either the backup lacks what the check looks for, or the check is wrong: try it on the live application.',
    });
}

;// CONCATENATED MODULE: ./src/compose/command-line.ts
/**
 * The argv up to the verb. Files and project name are always said: what Compose would choose by itself depends on
 * COMPOSE_* variables and on the folder's name, which differ between a job and the administrator's shell.
 */
function composeArgv(dialect, project, ...verb) {
    return [
        ...dialect.argv,
        // Cursor movements and colours have no place in a job's log.
        ...(dialect.runtime === 'docker' ? ['--ansi', 'never'] : []),
        '-p',
        project.projectName,
        ...project.files.flatMap((file) => ['-f', file]),
        ...project.profiles.flatMap((profile) => ['--profile', profile]),
        ...project.envFiles.flatMap((file) => ['--env-file', file]),
        ...verb,
    ];
}
/**
 * Podman leaves processes of its own behind, whatever was asked (the keeper of a rootless user's namespace); with the job's tracking id in their
 * environment the runner would end them, and with them the containers' network.
 */
function composeEnv(dialect) {
    return dialect.runtime === 'podman' ? { RUNNER_TRACKING_ID: '' } : {};
}
function configArgv(dialect, project) {
    return composeArgv(dialect, project, 'config', ...(dialect.capabilities.config === 'json' ? ['--format', 'json'] : []));
}
/** Never with `--yes` or `-V`: Compose would renew a volume whose definition changed, and the data with it. */
function upArgv(dialect, project, services) {
    return composeArgv(dialect, project, 'up', '-d', ...services);
}
function startArgv(dialect, project, services) {
    return composeArgv(dialect, project, 'start', ...services);
}
function stopArgv(dialect, project, graceSeconds, services) {
    return composeArgv(dialect, project, 'stop', '-t', String(Math.ceil(graceSeconds)), ...services);
}
/** Volumes stay: there is no `-v` here, whatever happens. */
function downArgv(dialect, project) {
    return composeArgv(dialect, project, 'down');
}
function buildArgv(dialect, project, services) {
    return composeArgv(dialect, project, 'build', ...services);
}
function pullArgv(dialect, project, services) {
    return composeArgv(dialect, project, 'pull', ...services);
}

;// CONCATENATED MODULE: ./src/compose/env-file.ts


/**
 * Reads an env file by Compose's rules: `KEY=VALUE`, `export KEY=…`, comments, single quotes taken literally, double quotes with
 * escapes, values over several lines inside quotes, `${OTHER}` from `lookup` or from earlier lines. A key without `=` takes its value
 * from `lookup`. Throws `env-file-invalid` with the line.
 */
function parseEnvFile(path, text, lookup, style = 'compose') {
    const values = {};
    const fill = (raw) => interpolate(style === 'compose' ? raw : raw.replace(/\$(?!\{)/g, '$$$$'), known);
    const known = (name) => lookup(name) ?? values[name];
    const source = text.replace(/^\uFEFF/, '').replace(/\r\n?/g, '\n');
    let at = 0;
    const fail = (why) => {
        const line = source.slice(0, at).split('\n').length;
        throw new errors/* CaretakerError */.xT('env-file-invalid', `failed to read ${path}: line ${line}: ${why}`, {
            hint: 'Write one KEY=VALUE a line; quote values that hold spaces, # or $.',
        });
    };
    while (at < source.length) {
        const blank = /[ \t]*(?:#[^\n]*)?(?:\n|$)/y;
        blank.lastIndex = at;
        const skipped = blank.exec(source);
        if (skipped !== null && skipped[0] !== '') {
            at += skipped[0].length;
            continue;
        }
        const key = /[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_.-]*)[ \t]*(=|:|(?=\n|$))/y;
        key.lastIndex = at;
        const match = key.exec(source);
        if (match === null)
            return fail('it is not KEY=VALUE');
        const name = match[1] ?? '';
        at += match[0].length;
        if (match[2] === '') {
            const inherited = lookup(name);
            if (inherited !== undefined)
                values[name] = inherited;
            continue;
        }
        const space = /[ \t]*/y;
        space.lastIndex = at;
        at += space.exec(source)?.[0].length ?? 0;
        const quote = source[at];
        try {
            if (quote === "'" || quote === '"') {
                const quoted = quote === "'" ? /'((?:[^'\\]|\\.)*)'/sy : /"((?:[^"\\]|\\.)*)"/sy;
                quoted.lastIndex = at;
                const found = quoted.exec(source);
                if (found === null)
                    return fail(`the quotes of ${name} are not closed`);
                at += found[0].length;
                const raw = found[1] ?? '';
                values[name] = quote === "'" ? raw.replace(/\\'/g, "'") : fill(env_file_unescape(raw));
                const rest = /[^\n]*/y;
                rest.lastIndex = at;
                const tail = rest.exec(source)?.[0] ?? '';
                if (!/^\s*(#.*)?$/.test(tail))
                    return fail(`there is text after the quotes of ${name}`);
                at += tail.length;
            }
            else {
                const line = /[^\n]*/y;
                line.lastIndex = at;
                const raw = line.exec(source)?.[0] ?? '';
                // A # begins a comment only after a space: `a#b` is a value.
                values[name] = fill(raw.replace(/(^|\s)#.*$/, '').trim());
                at += raw.length;
            }
        }
        catch (error) {
            if (error instanceof InterpolationError)
                return fail(`the value of ${name} is an ${env_file_describe(error)}`);
            throw error;
        }
    }
    return values;
}
/** The value itself stays out of the message: env files hold secrets. */
function env_file_describe(error) {
    return error.message.startsWith('required') ? `error: ${error.message}` : 'invalid template';
}
function env_file_unescape(raw) {
    return raw.replace(/\\(.)/gs, (whole, char) => {
        if (char === 'n')
            return '\n';
        if (char === 'r')
            return '\r';
        if (char === 't')
            return '\t';
        // \$ means a dollar that is no variable.
        if (char === '$')
            return '$$';
        return char === '"' || char === '\\' ? char : whole;
    });
}

;// CONCATENATED MODULE: ./src/compose/model.ts



/**
 * The model out of one merged and interpolated document: what `docker compose config --format json` prints, what podman-compose's `config`
 * prints, or what our own reading made. Relative paths are relative to `directory`, that of the first compose file. Throws
 * `compose-file-invalid`.
 */
function modelOf(content, name, directory) {
    const volumes = Object.fromEntries(Object.entries(asMapping(content['volumes'])).map(([key, value]) => [
        key,
        topLevelVolume(key, asMapping(value), name),
    ]));
    const services = Object.entries(asMapping(content['services'])).map(([service, fields]) => serviceOf(service, asMapping(fields), directory));
    if (services.length === 0)
        throw invalidComposeFile(`failed to find a service in the compose files of ${directory}`);
    return { name, services, volumes };
}
function topLevelVolume(key, fields, project) {
    const external = fields['external'];
    // The form of version 2 of the format: `external: {name: …}`.
    const externalName = isMapping(external) ? textOf(external['name']) : undefined;
    const isExternal = isMapping(external) || external === true || external === 'true';
    return {
        name: textOf(fields['name']) ?? externalName ?? (isExternal ? key : `${project}_${key}`),
        external: isExternal,
    };
}
function serviceOf(name, fields, directory) {
    const environment = Object.entries(asEnvironment(fields['environment'])).filter((entry) => entry[1] !== null);
    const healthcheck = asMapping(fields['healthcheck']);
    const test = asList(healthcheck['test']);
    return {
        name,
        image: textOf(fields['image']) ?? null,
        build: fields['build'] !== undefined && fields['build'] !== null,
        buildOptions: buildOptionsOf(fields['build']),
        containerName: textOf(fields['container_name']),
        dependsOn: [...new Set([...dependencyNames(fields['depends_on']), ...linkNames(fields['links'])])],
        // Unquoted, `no` is false for a YAML 1.1 reader.
        restart: fields['restart'] === false ? 'no' : textOf(fields['restart']),
        volumes: [
            ...asList(fields['volumes']).map((volume) => volumeOf(volume, name, directory)),
            ...asList(fields['tmpfs']).map((path) => ({
                type: 'tmpfs',
                source: '',
                target: (textOf(path) ?? '').split(':')[0] ?? '',
                readOnly: false,
            })),
        ],
        envFiles: envFilesOf(fields).map((path) => absolute(path, directory)),
        environment: Object.fromEntries(environment),
        hasHealthCheck: test.length > 0 && test[0] !== 'NONE' && healthcheck['disable'] !== true,
        profiles: asList(fields['profiles'])
            .map(textOf)
            .filter((profile) => profile !== undefined),
        replicas: replicasOf(fields),
        stopGraceSeconds: secondsOf(fields['stop_grace_period']),
    };
}
/** The context's place is the host's own matter, and so left out: two hosts that build the same have it elsewhere. */
function buildOptionsOf(build) {
    if (build === undefined || build === null)
        return {};
    const { args, target, dockerfile, dockerfile_inline: inline, platforms } = asMapping(build);
    const given = {
        args: Object.entries(asEnvironment(args)).sort(([one], [other]) => (one < other ? -1 : 1)),
        target: textOf(target),
        // Docker's Compose fills the default in, podman-compose does not.
        dockerfile: textOf(dockerfile) ?? 'Dockerfile',
        inline: textOf(inline),
        platforms: asList(platforms).map(String),
    };
    return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}
/** A service's `env_file` as written, in any of its forms: one path, a list, a list of `{path, required}`. */
function envFilesOf(service) {
    return asList(service['env_file'])
        .map((entry) => textOf(isMapping(entry) ? entry['path'] : entry) ?? '')
        .filter((path) => path !== '');
}
function linkNames(links) {
    return asList(links).map((link) => (textOf(link) ?? '').split(':')[0] ?? '');
}
function replicasOf(fields) {
    const value = fields['scale'] ?? asMapping(fields['deploy'])['replicas'];
    const count = value === undefined || value === null ? 1 : Number(value);
    return Number.isInteger(count) && count >= 0 ? count : 1;
}
/** `90`, `90s`, `1m30s`, `1h`. */
function secondsOf(value) {
    if (typeof value === 'number')
        return value;
    if (typeof value !== 'string' || value === '')
        return undefined;
    if (/^\d+$/.test(value))
        return Number(value);
    const units = { h: 3600, m: 60, s: 1, ms: 0.001, us: 0.000001 };
    let seconds = 0;
    for (const [, count, unit] of value.matchAll(/([\d.]+)(ms|us|h|m|s)/g))
        seconds += Number(count) * (units[unit ?? ''] ?? 0);
    return seconds;
}
/** One entry of a service's `volumes`, in either form; paths absolute. */
function volumeOf(volume, service, directory) {
    if (isMapping(volume)) {
        const type = textOf(volume['type']) ?? 'volume';
        const source = textOf(volume['source']) ?? textOf(volume['src']) ?? '';
        return {
            type: type === 'bind' || type === 'volume' || type === 'tmpfs' ? type : 'other',
            source: type === 'bind' ? absolute(source, directory) : source,
            target: textOf(volume['target']) ?? textOf(volume['destination']) ?? textOf(volume['dst']) ?? '',
            readOnly: [volume['read_only'], volume['readonly']].some((value) => value === true || value === 'true'),
        };
    }
    const parts = (textOf(volume) ?? '').split(':');
    const [first = '', second, third, fourth] = parts;
    if (first === '' && second === undefined)
        throw invalidComposeFile(`failed to read a volume of the service ${service}: it is empty`);
    if (fourth !== undefined)
        throw invalidComposeFile(`failed to read the volume ${parts.join(':')} of the service ${service}: too many colons`);
    // `/var/lib/mysql` and `/var/lib/mysql:ro`: an anonymous volume.
    if (second === undefined || !second.startsWith('/')) {
        return { type: 'volume', source: '', target: first, readOnly: hasReadOnly(second) };
    }
    const bind = /^[./~]/.test(first);
    return {
        type: bind ? 'bind' : 'volume',
        source: bind ? absolute(first, directory) : first,
        target: second,
        readOnly: hasReadOnly(third),
    };
}
function hasReadOnly(options) {
    return (options ?? '').split(',').includes('ro');
}
function absolute(path, directory) {
    if (path === '~' || path.startsWith('~/'))
        return (0,external_node_path_.join)((0,external_node_os_.homedir)(), path.slice(1));
    return (0,external_node_path_.isAbsolute)(path) ? path : (0,external_node_path_.resolve)(directory, path);
}

;// CONCATENATED MODULE: ./src/compose/read-model.ts








/**
 * The model of a project in the words of its own dialect: by `config` where there is one (Compose knows best what it is going to do), else
 * by our own reading. Throws `compose-file-missing`, `compose-file-invalid` (with line and column for what is no YAML),
 * `env-file-invalid`.
 */
async function readModel(dialect, project, processes, environment) {
    const directory = read_model_projectDirectoryOf(project.files);
    const { content, raw, lookup } = await readFiles(dialect, project, processes, environment);
    const model = modelOf(content, project.projectName, directory);
    if (dialect.capabilities.config !== 'json')
        return model;
    // Its output holds the env files' values in the place of their names.
    return {
        ...model,
        services: model.services.map((service) => ({
            ...service,
            envFiles: raw
                .flatMap((file) => envFilesOf(asMapping(asMapping(file['services'])[service.name])))
                .map((path) => (0,external_node_path_.resolve)(directory, lenient(path, lookup))),
        })),
    };
}
/** The compose files as one: merged, extended, variables filled in; services of active profiles only. Throws as `readModel` does. */
async function readDocument(dialect, project, processes, environment) {
    const { content } = await readFiles(dialect, project, processes, environment);
    if (!dialect.capabilities.profiles)
        return content;
    const active = Object.entries(asMapping(content['services'])).filter(([, service]) => {
        const profiles = asList(asMapping(service)['profiles']).map(textOf);
        return profiles.length === 0 || profiles.some((profile) => project.profiles.includes(profile ?? ''));
    });
    return { ...content, services: Object.fromEntries(active) };
}
async function readFiles(dialect, project, processes, environment) {
    const directory = read_model_projectDirectoryOf(project.files);
    // Also where Compose reads the files itself: its errors name no column, and podman-compose's are Python tracebacks.
    const raw = [];
    for (const file of project.files)
        raw.push(parseComposeFile(file, await read(file), null));
    const lookup = variablesOf(dialect, await readEnvFiles(dialect, project, environment), environment, project.projectName);
    const found = (content) => ({ content, raw, lookup });
    if (dialect.capabilities.config === 'none')
        return found(await readByOurselves(project.files, lookup));
    const output = await config(dialect, project, processes, directory);
    if (dialect.capabilities.config === 'json')
        return found(unescapeDollars(JSON.parse(output)));
    const content = parseComposeFile('the output of podman-compose config', output, null);
    return found(await resolveExtends(content, async (file) => parseComposeFile(file, await read((0,external_node_path_.resolve)(directory, file)), lookup)));
}
async function config(dialect, project, processes, cwd) {
    try {
        return (await processes.run({ argv: configArgv(dialect, project), cwd, env: composeEnv(dialect) }, { timeoutMs: 120_000 })).stdout;
    }
    catch (error) {
        if (error instanceof errors/* CaretakerError */.xT && error.code === 'command-failed') {
            throw invalidComposeFile(`failed to read ${project.files.join(', ')}: ${read_model_lastLine(error.message)}`, error);
        }
        throw error;
    }
}
/** A Python traceback and Compose's own message have this in common: the last line says what is wrong. */
function read_model_lastLine(message) {
    return message.trim().split('\n').at(-1)?.trim() ?? message;
}
async function readByOurselves(files, lookup) {
    const contents = [];
    for (const file of files) {
        const content = parseComposeFile(file, await read(file), lookup);
        if (content['include'] !== undefined) {
            throw invalidComposeFile(`failed to read ${file}: this podman-compose does not know include and would leave those services out`);
        }
        contents.push(content);
    }
    const directory = read_model_projectDirectoryOf(files);
    return resolveExtends(mergeComposeFiles(contents), async (file) => {
        const path = (0,external_node_path_.resolve)(directory, file);
        return parseComposeFile(path, await read(path), lookup);
    });
}
/** Compose prints a dollar as `$$`, so that its output is a compose file again. */
function unescapeDollars(value) {
    if (typeof value === 'string')
        return value.replaceAll('$$', '$');
    if (Array.isArray(value))
        return value.map(unescapeDollars);
    if (isMapping(value))
        return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, unescapeDollars(item)]));
    return value;
}
/** Relative paths in compose files, and `.env`, are those of the first file's directory, also in a second file elsewhere. */
function read_model_projectDirectoryOf(files) {
    return (0,external_node_path_.dirname)(files[0] ?? '.');
}
/**
 * The variables of `.env` beside the first compose file, or of the env files given in its place. Throws `env-file-missing` for a file that
 * was asked for, `env-file-invalid`.
 */
async function readEnvFiles(dialect, project, environment) {
    const style = dialect.runtime === 'podman' ? 'python-dotenv' : 'compose';
    const values = {};
    const given = project.envFiles.length > 0;
    for (const file of given ? project.envFiles : [(0,external_node_path_.join)(read_model_projectDirectoryOf(project.files), '.env')]) {
        let text;
        try {
            text = await (0,promises_.readFile)(file, 'utf8');
        }
        catch (error) {
            if (!given && error.code === 'ENOENT')
                continue;
            throw new errors/* CaretakerError */.xT('env-file-missing', `failed to read the env file ${file}: ${(0,errors/* messageOf */.bD)(error)}`, {
                hint: 'Check the path and that the user who runs this may read the file.',
                input: 'env-files',
                cause: error,
            });
        }
        Object.assign(values, parseEnvFile(file, text, (name) => environment[name] ?? values[name], style));
    }
    return values;
}
/** What a `${NAME}` is worth: the process environment before `.env`, but the other way round in podman-compose 1.0.3. */
function variablesOf(dialect, envFile, environment, projectName) {
    return (name) => {
        if (name === 'COMPOSE_PROJECT_NAME')
            return projectName;
        return dialect.capabilities.envFiles === 'none'
            ? (envFile[name] ?? environment[name])
            : (environment[name] ?? envFile[name]);
    };
}
/**
 * Profiles that each service asks for, from the files as they are written. For choosing profiles before a dialect is asked for its model,
 * which shows the services of active profiles only.
 */
async function readProfiles(files) {
    const result = new Map();
    for (const file of files) {
        for (const [name, service] of Object.entries(asMapping(parseComposeFile(file, await read(file), null)['services']))) {
            const profiles = asList(asMapping(service)['profiles']).map(textOf);
            result.set(name, [...(result.get(name) ?? []), ...profiles.filter((profile) => profile !== undefined)]);
        }
    }
    return result;
}
/** Every file that makes up the model: the compose files and what they include or extend, env files, files of secrets and configs. Absolute; may be missing. */
async function filesOfModel(files, lookup) {
    const directory = read_model_projectDirectoryOf(files);
    const all = new Set();
    const visit = async (file, base) => {
        if (all.has(file))
            return;
        all.add(file);
        const content = parseComposeFile(file, await read(file), null);
        const fill = (path) => lenient(path, lookup);
        for (const entry of asList(content['include'])) {
            const parts = isMapping(entry) ? entry : { path: entry };
            const paths = asList(parts['path']).map(textOf);
            for (const path of paths) {
                const included = (0,external_node_path_.resolve)(base, fill(path ?? ''));
                await visit(included, (0,external_node_path_.dirname)(included));
            }
            for (const path of asList(parts['env_file']).map(textOf))
                all.add((0,external_node_path_.resolve)(base, fill(path ?? '')));
        }
        for (const kind of ['secrets', 'configs']) {
            for (const entry of Object.values(asMapping(content[kind]))) {
                const path = textOf(asMapping(entry)['file']);
                if (path !== undefined)
                    all.add((0,external_node_path_.resolve)(base, fill(path)));
            }
        }
        for (const service of Object.values(asMapping(content['services']))) {
            const fields = asMapping(service);
            const other = textOf(asMapping(fields['extends'])['file']);
            if (other !== undefined) {
                const path = (0,external_node_path_.resolve)(base, fill(other));
                await visit(path, (0,external_node_path_.dirname)(path));
            }
            for (const path of envFilesOf(fields))
                all.add((0,external_node_path_.resolve)(base, fill(path)));
        }
    };
    for (const file of files)
        await visit(file, directory);
    return [...all];
}
/** A list of files must not fail for a variable that only matters elsewhere. */
function lenient(path, lookup) {
    try {
        return interpolate(path, lookup);
    }
    catch (error) {
        if (error instanceof InterpolationError)
            return path;
        throw error;
    }
}
async function read(file) {
    try {
        return await (0,promises_.readFile)(file, 'utf8');
    }
    catch (error) {
        throw new errors/* CaretakerError */.xT('compose-file-missing', `failed to read the compose file ${file}: ${(0,errors/* messageOf */.bD)(error)}`, {
            hint: 'Check project-directory and compose-files, and that the user who runs this may read the file.',
            input: 'compose-files',
            cause: error,
        });
    }
}

;// CONCATENATED MODULE: ./src/compose/throwaway-file.ts




/** Words of a service that a copy has as they are written would reach, or be reached by, what is not its own. */
const DROPPED = [
    ...['ports', 'container_name', 'labels', 'logging', 'external_links', 'mac_address', 'profiles', 'build', 'develop'],
    ...['devices', 'device_cgroup_rules', 'privileged', 'use_api_socket', 'cgroup', 'cgroup_parent', 'provider'],
];
/** Of those, what an application may miss. */
const MISSED = ['devices', 'privileged', 'use_api_socket', 'provider'];
/** Namespaces of the host, or of somebody else's container. */
const NAMESPACES = ['network_mode', 'pid', 'ipc', 'uts'];
/**
 * The compose file of a throwaway: the same services with the same images, but with a project name, volumes, directories and networks of its own, nothing published, no name and
 * no label by which others (a reverse proxy, say) find a container, no socket of the host. Read-only files and directories that hold no data of a backup are shared.
 */
function throwawayFile(document, options) {
    const without = [];
    const services = Object.entries(asMapping(document['services'])).map(([name, fields]) => [name, asMapping(fields)]);
    const binds = services.flatMap(([name, fields]) => asList(fields['volumes'])
        .map((volume) => volumeOf(volume, name, options.base))
        .filter(({ type }) => type === 'bind'));
    const own = ownPlaces(binds, options);
    const volumes = new Map(Object.entries(options.volumes).map(([key, live]) => [live, `${options.name}_${key.replace(/[^\w.-]/g, '_')}`]));
    const mount = (volume, service) => {
        const { type, source, target, readOnly } = volumeOf(volume, service, options.base);
        if (type !== 'bind')
            return [volume];
        const copy = own.find(({ live }) => isWithin(live, source));
        const kind = options.kindOf(source);
        if (copy === undefined && kind === 'other') {
            without.push(`${service} gets no ${target}: ${source} is a socket or a device of this host`);
            return [];
        }
        if (copy === undefined && !readOnly)
            without.push(`${service} can't write to ${target}: it is shared with ${source}`);
        const selinux = selinuxOf(volume);
        return [
            {
                ...{ type: 'bind', source: copy === undefined ? source : (0,external_node_path_.join)(copy.copy, (0,external_node_path_.relative)(copy.live, source)), target },
                ...(readOnly || copy === undefined ? { read_only: true } : {}),
                // Z would take a file that is shared away from the application.
                ...(selinux === undefined ? {} : { bind: { selinux: copy === undefined ? 'z' : selinux } }),
            },
        ];
    };
    const service = (name, fields) => {
        const kept = { ...fields };
        for (const key of MISSED)
            if (fields[key] !== undefined && fields[key] !== false)
                without.push(`${name} gets no ${key}`);
        for (const key of DROPPED)
            delete kept[key];
        const others = asList(fields['volumes_from']).filter((one) => !(textOf(one) ?? '').startsWith('container:'));
        if (fields['volumes_from'] !== undefined)
            kept['volumes_from'] = others;
        for (const key of NAMESPACES) {
            const value = textOf(fields[key]);
            if (value === undefined || value.startsWith('service:') || ['none', 'private', 'shareable'].includes(value))
                continue;
            without.push(`${name} gets no ${key}: ${value}`);
            delete kept[key];
        }
        const deploy = { ...asMapping(fields['deploy']) };
        const none = [fields['scale'], deploy['replicas']].some((count) => Number(count ?? 1) === 0);
        for (const key of ['labels', 'restart_policy', ...(none ? [] : ['replicas'])])
            delete deploy[key];
        if (!none)
            delete kept['scale'];
        const restart = fields['restart'] === false ? 'no' : textOf(fields['restart']);
        const envFiles = asList(fields['env_file']).map((file) => isMapping(file)
            ? { ...file, path: (0,external_node_path_.resolve)(options.base, textOf(file['path']) ?? '') }
            : (0,external_node_path_.resolve)(options.base, textOf(file) ?? ''));
        return {
            ...kept,
            image: textOf(fields['image']) ?? options.imageOf(name),
            labels: options.labels,
            // What the host has is what is tried; a newer image must not come by it.
            pull_policy: 'never',
            // Not after a reboot: then nobody waits for it any more.
            ...(restart === undefined || restart === 'no' ? {} : { restart: 'on-failure' }),
            ...(isMapping(fields['deploy']) ? { deploy } : {}),
            ...(envFiles.length === 0 ? {} : { env_file: envFiles }),
            ...(fields['volumes'] === undefined
                ? {}
                : { volumes: asList(fields['volumes']).flatMap((one) => mount(one, name)) }),
            ...(kept['network_mode'] === undefined
                ? { networks: networksOf(fields['networks'], options.aliases ? textOf(fields['container_name']) : undefined) }
                : {}),
        };
    };
    const copies = Object.fromEntries(services.map(([name, fields]) => [name, service(name, fields)]));
    // podman-compose 1.0.3 refuses a network that no service is in.
    const networks = new Set(Object.values(copies).flatMap((copy) => Object.keys(asMapping(copy['networks']))));
    const content = {
        services: copies,
        networks: Object.fromEntries([...networks].map((key) => [key, options.outside ? {} : { internal: true }])),
        volumes: Object.fromEntries(Object.entries(options.volumes).map(([key, live]) => [key, { external: true, name: volumes.get(live) }])),
        ...withFiles('secrets', document, options.base),
        ...withFiles('configs', document, options.base),
    };
    const directories = own.filter(({ live }) => ['directory', 'missing'].includes(options.kindOf(live)));
    const text = (0,dist/* stringify */.As)(escapeDollars(content), { version: '1.1', lineWidth: 0 });
    const nested = [
        ...new Set(binds.flatMap(({ source }) => {
            const home = own.find(({ live }) => live !== source && isWithin(live, source));
            const isDirectory = ['directory', 'missing'].includes(options.kindOf(source));
            return home === undefined || !isDirectory ? [] : [(0,external_node_path_.join)(home.copy, (0,external_node_path_.relative)(home.live, source))];
        })),
    ];
    return { text, places: own, directories, nested, volumes, without };
}
/** The outermost of what is written to or holds data: each has a place of its own. */
function ownPlaces(binds, { data, directory, base, kindOf }) {
    const wanted = binds
        .filter(({ source, readOnly }) => {
        const kind = kindOf(source);
        if (kind === 'other')
            return false;
        if (kind === 'file')
            return data.includes(source);
        // What the whole host or project is shown by, read-only, may go on showing it.
        if (readOnly && isWithin(source, base))
            return false;
        return !readOnly || data.some((path) => isWithin(source, path) || isWithin(path, source));
    })
        .map(({ source }) => source);
    const outermost = [...new Set(wanted)].filter((path) => !wanted.some((other) => other !== path && isWithin(other, path)));
    return outermost.map((live, index) => ({ live, copy: (0,external_node_path_.join)(directory, `${index}-${(0,external_node_path_.basename)(live)}`) }));
}
/** Of each network only its key and the names by which a service is known in it: addresses and drivers are the project's. */
function networksOf(networks, containerName) {
    const keys = isMapping(networks)
        ? Object.entries(networks)
        : asList(networks).map((key) => [String(key), null]);
    if (keys.length === 0)
        return networksOf({ default: null }, containerName);
    const all = keys.map(([key, value]) => {
        // By its container's name too: others may know it by that.
        const aliases = [...asList(asMapping(value)['aliases']), ...(containerName === undefined ? [] : [containerName])];
        // podman-compose 1.0.3 takes an empty mapping for a part of the name.
        return [key, aliases.length === 0 ? null : { aliases }];
    });
    return Object.fromEntries(all);
}
function withFiles(kind, document, base) {
    const entries = Object.entries(asMapping(document[kind])).map(([key, value]) => {
        const { name: _name, ...fields } = asMapping(value);
        const file = textOf(fields['file']);
        return [key, file === undefined ? fields : { ...fields, file: (0,external_node_path_.resolve)(base, file) }];
    });
    return entries.length === 0 ? {} : { [kind]: Object.fromEntries(entries) };
}
/** `z` or `Z`, which tell SELinux to let containers in. */
function selinuxOf(volume) {
    if (isMapping(volume))
        return textOf(asMapping(volume['bind'])['selinux']);
    return /(?:^|,)(z)(?:,|$)/i.exec((textOf(volume) ?? '').split(':')[2] ?? '')?.[1];
}
function isWithin(directory, path) {
    const rest = (0,external_node_path_.relative)(directory, path);
    return rest !== '..' && !rest.startsWith('../') && !(0,external_node_path_.isAbsolute)(rest);
}
/** What was filled in once must not be taken for variables. */
function escapeDollars(value) {
    if (typeof value === 'string')
        return value.replaceAll('$', '$$$$');
    if (Array.isArray(value))
        return value.map(escapeDollars);
    if (isMapping(value))
        return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, escapeDollars(item)]));
    return value;
}

;// CONCATENATED MODULE: ./src/compose/compose-files.ts




/** Docker Compose takes the first of these, and the first override of the same family. */
const composeNames = ['compose.yaml', 'compose.yml', 'docker-compose.yml', 'docker-compose.yaml'];
const composeOverrides = {
    compose: ['compose.override.yml', 'compose.override.yaml'],
    'docker-compose': ['docker-compose.override.yml', 'docker-compose.override.yaml'],
};
/** podman-compose takes every one of these that is there, in this order (COMPOSE_DEFAULT_LS of 1.0.3 and 1.6.0). */
const podmanComposeNames = [
    'compose.yaml',
    'compose.yml',
    'compose.override.yaml',
    'compose.override.yml',
    'podman-compose.yaml',
    'podman-compose.yml',
    'docker-compose.yml',
    'docker-compose.yaml',
    'docker-compose.override.yml',
    'docker-compose.override.yaml',
    'container-compose.yml',
    'container-compose.yaml',
    'container-compose.override.yml',
    'container-compose.override.yaml',
];
/**
 * The files that this dialect takes by itself in a directory: those of COMPOSE_FILE (`envFile`: the variables of `.env`, which counts for
 * Docker Compose only), else the default names. Empty when there are none. Throws `compose-file-missing` for one that COMPOSE_FILE names.
 */
async function defaultComposeFiles(dialect, directory, environment, envFile) {
    const docker = dialect.runtime === 'docker';
    const named = environment['COMPOSE_FILE'] ?? (docker ? envFile['COMPOSE_FILE'] : undefined);
    if (named !== undefined && named !== '') {
        const separator = environment['COMPOSE_PATH_SEPARATOR'] ?? envFile['COMPOSE_PATH_SEPARATOR'] ?? ':';
        const files = named.split(separator).filter((file) => file !== '');
        return existingComposeFiles(files, directory);
    }
    const there = async (names) => {
        const paths = names.map((name) => (0,external_node_path_.join)(directory, name));
        const found = await Promise.all(paths.map(exists));
        return paths.filter((_path, index) => found[index]);
    };
    if (!docker)
        return there(podmanComposeNames);
    const first = (await there(composeNames))[0];
    if (first === undefined)
        return [];
    const family = (0,external_node_path_.basename)(first).replace(/\.ya?ml$/, '');
    return [first, ...(await there(composeOverrides[family] ?? [])).slice(0, 1)];
}
/** The paths made absolute. Throws `compose-file-missing` when one of them is not there. */
async function existingComposeFiles(files, directory) {
    const paths = files.map((file) => (0,external_node_path_.resolve)(directory, file));
    for (const path of paths) {
        if (!(await exists(path)))
            throw composeFileMissing(`failed to find the compose file ${path}`);
    }
    return paths;
}
function composeFileMissing(message) {
    return new errors/* CaretakerError */.xT('compose-file-missing', message, {
        hint: 'Set project-directory to the directory of the compose file, or name the files in compose-files.',
        input: 'compose-files',
    });
}
/**
 * The name that a project gets with this dialect: as given, else COMPOSE_PROJECT_NAME, else `name:` of the files, else the directory's base
 * name; in lower case and with nothing but a–z, 0–9, `_` and `-`. podman-compose 1.0.3 knows but the last and keeps leading dashes.
 * Containers that exist have the last word: the caller asks them first.
 */
async function projectNameOf(dialect, files, directory, environment, envFile) {
    const old = dialect.runtime === 'podman' && dialect.capabilities.config === 'none';
    const named = old
        ? undefined
        : (environment['COMPOSE_PROJECT_NAME'] ?? envFile['COMPOSE_PROJECT_NAME'] ?? (await nameInFiles(files, dialect)));
    const wish = named === undefined || named === '' ? (0,external_node_path_.basename)(directory).toLowerCase() : named;
    const name = normaliseProjectName(wish, dialect);
    if (name === '') {
        throw new errors/* CaretakerError */.xT('project-name-invalid', `failed to make a project name of "${wish}"`, {
            hint: 'Set project-name: lower-case letters, digits, dashes and underscores.',
            input: 'project-name',
        });
    }
    return name;
}
function normaliseProjectName(name, dialect) {
    if (dialect.runtime === 'podman')
        return name.replace(/[^-_a-z0-9]/g, '');
    return name
        .toLowerCase()
        .replace(/[^-_a-z0-9]/g, '')
        .replace(/^[_-]+/, '');
}
/** Docker Compose takes the last file's `name:`, podman-compose the first file's only. */
async function nameInFiles(files, dialect) {
    const names = [];
    for (const file of files)
        names.push(textOf(parseComposeFile(file, await (0,promises_.readFile)(file, 'utf8'), null)['name']));
    return dialect.runtime === 'docker' ? names.filter((name) => name !== undefined).at(-1) : names[0];
}
async function exists(path) {
    try {
        await (0,promises_.access)(path);
        return true;
    }
    catch (error) {
        if (['ENOENT', 'ENOTDIR'].includes(error.code ?? ''))
            return false;
        throw new errors/* CaretakerError */.xT('path-denied', `failed to look at ${path}: permission denied`, {
            hint: 'Run as a user who may enter the directory.',
            cause: error,
        });
    }
}

;// CONCATENATED MODULE: ./src/compose/order.ts
/**
 * The names in an order in which they can start: what a service depends on comes before it, otherwise as given. A cycle, which Compose
 * refuses anyway, is broken where it closes.
 */
function startOrder(services) {
    const byName = new Map(services.map((service) => [service.name, service]));
    const order = [];
    const seen = new Set();
    const visit = (service) => {
        if (seen.has(service.name))
            return;
        seen.add(service.name);
        for (const dependency of service.dependsOn) {
            const found = byName.get(dependency);
            if (found !== undefined)
                visit(found);
        }
        order.push(service.name);
    };
    services.forEach(visit);
    return order;
}
/** These services and everything that depends on them, directly or not. */
function order_withDependents(services, names) {
    const result = new Set(names);
    for (let grown = true; grown;) {
        grown = false;
        for (const service of services) {
            if (!result.has(service.name) && service.dependsOn.some((name) => result.has(name))) {
                result.add(service.name);
                grown = true;
            }
        }
    }
    return result;
}

;// CONCATENATED MODULE: ./src/compose/compose-program.ts








const projectLabel = 'com.docker.compose.project';
/** How often a container that could not be started because of its dependencies is tried again, and how long apart. */
const startTries = 5;
const startPauseMs = 3_000;
/** Compose for every dialect: what they do differently is asked of their capabilities. */
function createCompose(dialect, project, deps) {
    const { processes, runtime, log, clock } = deps;
    const { capabilities } = dialect;
    const directory = read_model_projectDirectoryOf(project.files);
    const model = () => readModel(dialect, project, processes, deps.environment);
    const containers = async (services) => {
        const all = await runtime.containers({ [projectLabel]: project.projectName });
        return all.filter((container) => !container.oneOff && (services.length === 0 || services.includes(container.service)));
    };
    /** Runs a Compose program with its lines in the log. Throws `compose-failed` with the last ones. */
    async function run(title, argv, options = {}) {
        await log.group(title, async () => {
            const tail = [];
            let failed = false;
            const onLine = (line) => {
                if (line.trim() === '')
                    return;
                log.info(line);
                options.onLine?.(line);
                tail.push(line);
                if (tail.length > 15)
                    tail.shift();
                if (options.isFailure?.(line) === true)
                    failed = true;
            };
            try {
                await processes.run({ argv, cwd: directory, env: composeEnv(dialect) }, { onLine, outlivesJob: options.outlivesJob ?? false });
            }
            catch (error) {
                if (error instanceof errors/* CaretakerError */.xT && error.code === 'command-failed')
                    throw composeFailed(title, tail, error);
                throw error;
            }
            if (failed)
                throw composeFailed(title, tail);
        });
    }
    function composeFailed(title, tail, cause) {
        const words = tail.length === 0 ? '' : `: ${tail.join('\n')}`;
        return new errors/* CaretakerError */.xT('compose-failed', `failed to ${title.toLowerCase()} of ${project.projectName}${words}`, {
            hint: 'The lines above are the Compose program’s own; run it by hand in the project directory to see more.',
            cause,
        });
    }
    async function up(services = []) {
        if (!capabilities.upRecreatesChanged)
            await removeChanged(services);
        await run('Bring up the containers', upArgv(dialect, project, services), { outlivesJob: true });
        if (dialect.runtime === 'podman')
            await startCreated(services);
    }
    /**
     * podman-compose leaves a container whose image was rebuilt under the same tag, and before 1.3 every container that exists. So those that
     * changed go first, with all that depend on them: Podman ties a container to the very one that it requires.
     */
    async function removeChanged(services) {
        const { services: defined } = await model();
        const existing = await containers([]);
        const wanted = services.length === 0 ? new Set(defined.map((service) => service.name)) : closure(defined, services);
        const changed = new Set();
        for (const container of existing) {
            const service = defined.find((candidate) => candidate.name === container.service);
            if (service === undefined || !wanted.has(service.name))
                continue;
            // Without a hash nothing tells that the configuration is the same, and the wrong one that goes on running is worse than a restart.
            if (!capabilities.comparesConfiguration ||
                (await imageChanged(service, container)) ||
                (await envFilesChanged(service, container))) {
                changed.add(service.name);
            }
        }
        if (changed.size === 0)
            return;
        const affected = order_withDependents(defined, changed);
        log.info(`Recreating ${[...affected].join(', ')}: the image or the configuration is another one`);
        const doomed = inStopOrder(existing.filter((container) => affected.has(container.service)), defined);
        for (const { service, mounts } of doomed) {
            for (const { volume, target } of mounts) {
                // Docker Compose hands them on; under Podman a new container begins with an empty one, and the old one stays behind.
                if (/^[0-9a-f]{64}$/.test(volume ?? ''))
                    log.info(`${service} gets a new anonymous volume at ${target}; ${volume} is kept`);
            }
        }
        await stopContainers(doomed, defined);
        await runtime.remove(doomed.map((container) => container.id));
        // Dependents that were not asked for were taken away above: they come back as well.
        const others = [...affected].filter((name) => !wanted.has(name));
        if (others.length > 0) {
            await run('Bring up the dependent containers', upArgv(dialect, project, [...wanted, ...others]), {
                outlivesJob: true,
            });
        }
    }
    async function imageChanged(service, container) {
        const now = await runtime.imageId(service.image ?? container.imageName);
        // No such image here: `up` is going to build or pull it, and a container of another image is then another one.
        return now !== container.imageId;
    }
    /** podman-compose's hash covers the names of env files, not what is in them. A variable that was taken out is not noticed. */
    async function envFilesChanged(service, container) {
        const wanted = {};
        for (const file of service.envFiles) {
            if (!(await exists(file)))
                continue;
            const text = await (0,promises_.readFile)(file, 'utf8');
            Object.assign(wanted, parseEnvFile(file, text, (name) => wanted[name] ?? deps.environment[name], 'python-dotenv'));
        }
        return Object.entries({ ...wanted, ...service.environment }).some(([name, value]) => container.env[name] !== value);
    }
    /**
     * What podman-compose left created but not started. Podman 4.3 refuses to start a container while one that it requires is restarting, and
     * 1.0.3 answers 0 whatever happened. Whether what runs is healthy is not asked here.
     */
    async function startCreated(services) {
        const { services: defined } = await model();
        const expected = defined.filter((service) => service.replicas > 0 && (services.length === 0 || services.includes(service.name)));
        for (let attempt = 1;; attempt++) {
            const existing = await containers([]);
            const missing = expected.filter((service) => !existing.some((container) => container.service === service.name));
            if (missing.length > 0) {
                throw composeFailed('bring up the containers', [
                    `no container was created for ${missing.map((service) => service.name).join(', ')}`,
                ]);
            }
            const waiting = inStopOrder(existing.filter((container) => container.state === 'created' && expected.some((service) => service.name === container.service)), defined).reverse();
            if (waiting.length === 0)
                return;
            try {
                await runtime.start(waiting.map((container) => container.id));
            }
            catch (error) {
                if (attempt >= startTries)
                    throw error;
                log.debug(`not started yet: ${error instanceof Error ? error.message : String(error)}`);
                await clock.sleep(startPauseMs);
            }
        }
    }
    async function stopContainers(ordered, defined) {
        for (const container of ordered) {
            // A frozen process can't shut down: it would be killed when the grace is over.
            if (container.state === 'paused')
                await runtime.unpause([container.id]);
            const grace = defined.find((service) => service.name === container.service)?.stopGraceSeconds;
            if (dialect.runtime === 'podman' && grace !== undefined && ['running', 'paused'].includes(container.state)) {
                // podman-compose does not hand the grace period to the container, so podman alone would kill after 10 s.
                await run('Stop the containers', stopArgv(dialect, project, grace, [container.service]));
            }
            await runtime.stop([container.id]);
        }
    }
    /** By the model where it can be read; the order must not keep an application from being stopped while a compose file is broken. */
    async function definedServices() {
        try {
            return (await model()).services;
        }
        catch (error) {
            log.warn(`The compose file can't be read, so the containers' own order is used: ${error instanceof Error ? error.message : String(error)}`);
            return [];
        }
    }
    return {
        dialect,
        files: project.files,
        model,
        document: () => readDocument(dialect, project, processes, deps.environment),
        of: (file, projectName) => createCompose(dialect, { files: [file], projectName, profiles: [], envFiles: [] }, deps),
        up,
        async start(services = []) {
            const still = (await containers(services)).filter((container) => container.state !== 'running');
            const paused = still.filter((container) => container.state === 'paused');
            if (paused.length > 0)
                await runtime.unpause(paused.map((container) => container.id));
            const existing = still.filter((container) => container.state !== 'paused');
            if (existing.length === 0)
                return;
            if (dialect.runtime === 'docker') {
                try {
                    // By name, so that services of profiles which are not active start as well.
                    const names = [...new Set(existing.map((container) => container.service))];
                    await run('Start the containers', startArgv(dialect, project, names), { outlivesJob: true });
                    return;
                }
                catch (error) {
                    if (!(error instanceof errors/* CaretakerError */.xT && error.code === 'compose-failed'))
                        throw error;
                    // The containers are there whatever became of the compose file: starting them is what keeps users served.
                    log.warn(`Compose could not start the containers, so they are started one by one: ${error.message}`);
                }
            }
            const ordered = inStopOrder(existing, await definedServices()).reverse();
            await startInOrder(ordered);
        },
        async stop(services = []) {
            const defined = await definedServices();
            const running = (await containers(services)).filter((container) => ['running', 'restarting', 'paused'].includes(container.state));
            await stopContainers(inStopOrder(running, defined), defined);
        },
        async down() {
            const defined = await definedServices();
            const existing = inStopOrder(await containers([]), defined);
            // With each container's own grace: podman-compose 1.0.3's `down` kills after one second.
            await stopContainers(existing, defined);
            await run('Remove the containers', downArgv(dialect, project));
            // Also those that are gone by now: the engine may have kept something of them.
            const left = [...existing, ...(await containers([]))].map((container) => container.id);
            if (left.length > 0)
                await runtime.remove([...new Set(left)]);
        },
        async build(services = []) {
            // podman-compose 1.0.3 prints the exit codes of its children and answers 0.
            const isFailure = (line) => /^exit code: [1-9]/.test(line);
            // Podman keeps each step as an image, and of a build that fails the last one without a name; it prints their ids.
            const steps = [];
            const onLine = (line) => {
                const [, id] = /--> ([0-9a-f]{11,64})$/.exec(line.trimEnd()) ?? [];
                if (id !== undefined)
                    steps.push(id);
            };
            try {
                await run('Build the images', buildArgv(dialect, project, services), {
                    onLine,
                    ...(capabilities.reliableExitCodes ? {} : { isFailure }),
                });
            }
            catch (error) {
                for (const id of steps.reverse()) {
                    await removeNameless(runtime, id).catch((left) => log.warn(`A step of the build is left: ${(0,errors/* messageOf */.bD)(left)}`)); // prettier-ignore
                }
                throw error;
            }
        },
        async pull(services = []) {
            const wanted = (await model()).services.filter((service) => service.image !== null && (services.length === 0 ? !service.build : services.includes(service.name)));
            if (wanted.length === 0)
                return;
            if (dialect.runtime === 'docker') {
                await run('Pull the images', pullArgv(dialect, project, wanted.map((service) => service.name)));
                return;
            }
            // podman-compose answers 0 when one of several pulls failed (1.0.3 and 1.6.0), so Podman itself is asked, image by image.
            for (const image of new Set(wanted.map((service) => service.image ?? ''))) {
                if (!image.startsWith('localhost/'))
                    await run(`Pull the image ${image}`, ['podman', 'pull', image]);
            }
        },
    };
    async function startInOrder(ordered) {
        for (let attempt = 1;; attempt++) {
            try {
                await runtime.start(ordered.map((container) => container.id));
                return;
            }
            catch (error) {
                // A dependency that restarts just now keeps Podman from starting what requires it.
                if (attempt >= startTries || dialect.runtime !== 'podman')
                    throw error;
                await clock.sleep(startPauseMs);
            }
        }
    }
}
/** These services and what they depend on, as `up SERVICE` brings them up. */
function closure(defined, names) {
    const result = new Set();
    const visit = (name) => {
        if (result.has(name))
            return;
        result.add(name);
        defined.find((service) => service.name === name)?.dependsOn.forEach(visit);
    };
    names.forEach(visit);
    return result;
}
/**
 * Dependents first. What each depends on is said by the model, for services that it does not know by the label of Docker Compose; where neither
 * says anything, what was started last stops first.
 */
function inStopOrder(containers, defined) {
    const byStart = [...containers].sort((a, b) => (a.startedAt ?? '').localeCompare(b.startedAt ?? ''));
    const services = [...new Set(byStart.map((container) => container.service))].map((name) => ({
        name,
        dependsOn: defined.find((service) => service.name === name)?.dependsOn ??
            labelled(byStart.find((container) => container.service === name)),
    }));
    const order = startOrder(services);
    return byStart
        .map((container, index) => ({ container, index }))
        .sort((a, b) => order.indexOf(b.container.service) - order.indexOf(a.container.service) || b.index - a.index)
        .map(({ container }) => container);
}
/** `database:service_healthy:false,cache:service_started:true` */
function labelled(container) {
    const label = container?.labels['com.docker.compose.depends_on'] ?? '';
    return label
        .split(',')
        .map((entry) => entry.split(':')[0] ?? '')
        .filter((name) => name !== '');
}

;// CONCATENATED MODULE: ./src/project/compose-project.ts







/** Larger ones are data. */
const MAX_MOUNTED_BYTES = 1024 * 1024;
/** A project of Docker Compose or podman-compose. Reads containers and model anew at every call: updates change both. */
function createComposeProject(parts) {
    const { runtime, compose } = parts;
    const containers = async () => (await runtime.containers({ [projectLabel]: parts.name })).filter((container) => !container.oneOff);
    const chosen = async (services) => (await containers()).filter((container) => services === undefined || services.includes(container.service));
    // A health check looks every second; the model costs a process each time and changes only by what this project does.
    let expected;
    const expectedServices = () => {
        expected ??= compose.model().then((model) => model.services);
        expected.catch(() => (expected = undefined));
        return expected;
    };
    async function views() {
        const [existing, services] = await Promise.all([containers(), expectedServices()]);
        const result = [];
        for (const service of services) {
            const own = existing.filter((container) => container.service === service.name);
            if (own.length === 0 && service.replicas > 0) {
                result.push({
                    service: service.name,
                    container: undefined,
                    ok: false,
                    detail: `${service.name}: no container`,
                    fatal: false,
                });
            }
            for (const container of own)
                result.push(viewOf(container, service, await healthOf(container)));
        }
        return result;
    }
    /** Podman's own timer may not be there (no systemd, no login session): its state is then the one of the last check by hand, or none. */
    async function healthOf(container) {
        if (runtime.name !== 'podman' || container.health === null || container.state !== 'running')
            return container.health;
        let now;
        try {
            now = await runtime.runHealthCheck(container.id);
        }
        catch (error) {
            // It went down between two questions: the next look sees it.
            if (error instanceof errors/* CaretakerError */.xT && error.code === 'engine-failed')
                return 'unhealthy';
            throw error;
        }
        return now === 'none' ? null : now === 'unhealthy' && container.health === 'starting' ? 'starting' : now;
    }
    /** Small files of the project directory that services only read: what an administrator writes beside the compose file. */
    async function mountedFiles() {
        const existing = await containers();
        const sources = existing.length > 0
            ? existing.flatMap(({ mounts }) => mounts.filter(({ type, writable }) => type === 'bind' && !writable))
            : (await compose.model()).services.flatMap(({ volumes }) => volumes.filter(({ type, readOnly }) => type === 'bind' && readOnly));
        const found = [];
        for (const { source } of sources) {
            if (!source.startsWith(`${parts.directory}/`))
                continue;
            const seen = await (0,promises_.stat)(source).catch(() => null);
            if (seen?.isFile() === true && seen.size <= MAX_MOUNTED_BYTES)
                found.push(source);
        }
        return found;
    }
    return {
        name: parts.name,
        directory: parts.directory,
        stateDirectory: (0,external_node_path_.join)(parts.directory, '.caretaker'),
        files: parts.files,
        engine: { runtime, compose },
        async services() {
            return startOrder((await compose.model()).services);
        },
        containers,
        async running() {
            return (await containers()).some(isUp);
        },
        async stop(services) {
            const up = (await chosen(services)).filter(isUp);
            const names = [...new Set(up.map((container) => container.service))];
            if (names.length > 0)
                await compose.stop(names);
            return names;
        },
        async start(services) {
            expected = undefined;
            await compose.start(services);
        },
        async up(services) {
            expected = undefined;
            await compose.up(services);
        },
        async look() {
            const seen = await views();
            if (seen.length === 0)
                return { ok: false, detail: 'no service is defined' };
            const bad = seen.filter((view) => !view.ok);
            const detail = (bad.length > 0 ? bad : seen).map((view) => view.detail).join('; ');
            const result = { ok: bad.length === 0, detail };
            return bad.some((view) => view.fatal) ? { ...result, fatal: true } : result;
        },
        async lastWords(lines) {
            const seen = await views();
            const bad = seen.filter((view) => !view.ok);
            // When the engine finds nothing wrong and yet somebody asks, the answer is in what the services print.
            const wanted = bad.length > 0 ? bad : seen;
            const ordered = inStopOrder(wanted.flatMap((view) => (view.container === undefined ? [] : [view.container])), await expectedServices()).reverse();
            const words = wanted
                .filter((view) => view.container === undefined)
                .map((view) => ({ service: view.service, state: 'missing', text: '' }));
            for (const container of ordered) {
                words.push({
                    service: container.service,
                    state: stateOf(container),
                    text: await runtime.logTail(container.id, lines),
                });
            }
            return words;
        },
        async configurationFiles() {
            const { files, dialect } = compose;
            const variables = await readEnvFiles(dialect, { files, envFiles: parts.envFiles }, parts.environment);
            const lookup = variablesOf(dialect, variables, parts.environment, parts.name);
            const all = new Set([
                ...(await filesOfModel(files, lookup)),
                ...(parts.envFiles.length > 0 ? parts.envFiles : [(0,external_node_path_.join)(read_model_projectDirectoryOf(files), '.env')]),
            ]);
            const present = [];
            for (const file of all)
                if (await exists(file))
                    present.push(file);
            return [...new Set([...present, ...(await mountedFiles())])];
        },
    };
}
/** What one container's state means for its service. Pure, so that every state can be tested. */
function viewOf(container, service, health) {
    const base = { service: service.name, container };
    const say = (ok, detail, fatal = false) => ({
        ...base,
        ok,
        detail: `${service.name}: ${detail}`,
        fatal,
    });
    const comesBack = service.restart !== undefined && service.restart !== 'no';
    switch (container.state) {
        case 'running':
            if (health === null)
                return say(true, 'running');
            return say(health === 'healthy', `running, ${health}`);
        case 'stopped':
            if (container.exitCode === 0 && !comesBack)
                return say(true, 'done (exit code 0)');
            // Nobody will start it again: waiting can't help.
            return say(false, `exited with code ${container.exitCode ?? 'unknown'}`, container.exitCode !== 0 && !comesBack);
        case 'restarting':
            return say(false, `restarting (${container.restartCount} restarts so far, last exit code ${container.exitCode ?? 'unknown'})`);
        case 'created':
        case 'paused':
        case 'dead':
            return say(false, container.state);
    }
}
function stateOf(container) {
    if (container.state === 'running' && container.health !== null)
        return `running, ${container.health}`;
    return container.state === 'stopped' ? `exited with code ${container.exitCode ?? 'unknown'}` : container.state;
}
/** A container that restarts or is paused comes back by itself or with its memory: whoever wants silence must stop it too. */
function isUp(container) {
    return ['running', 'restarting', 'paused'].includes(container.state);
}

;// CONCATENATED MODULE: ./src/project/throwaway.ts







/** What a throwaway is known by: on every container and volume of it, and in the journal. */
const THROWAWAY_LABEL = 'compose-caretaker.throwaway';
/** Whose throwaway it is. */
const OF_LABEL = 'compose-caretaker.of';
/** Throws `no-containers` for an application run by commands, and what reading the compose files throws. */
async function planThrowaway(project, request) {
    const { engine } = project;
    if (engine === null) {
        throw new errors/* CaretakerError */.xT('no-containers', `${project.name} is run by commands, and only what runs in containers can be brought up a second time beside itself`, { input: 'proof', hint: 'Use proof: read, which reads every byte and checks the files of databases.' });
    }
    const { compose } = engine;
    const [document, model] = await Promise.all([compose.document(), compose.model()]);
    const base = read_model_projectDirectoryOf(compose.files);
    const { name, directory } = request;
    const kinds = new Map();
    for (const { source } of model.services.flatMap(({ volumes }) => volumes)) {
        if (external_node_path_default().isAbsolute(source))
            kinds.set(source, await kindOf(source));
    }
    const labels = { [THROWAWAY_LABEL]: name, [OF_LABEL]: project.name };
    const separator = compose.dialect.capabilities.imageSeparator;
    const content = throwawayFile(document, {
        ...{ name, base, labels, data: request.data, outside: request.outside },
        directory: external_node_path_default().join(directory, 'data'),
        volumes: Object.fromEntries(Object.entries(model.volumes).map(([key, volume]) => [key, volume.name])),
        kindOf: (source) => kinds.get(source) ?? 'missing',
        aliases: compose.dialect.capabilities.config !== 'none',
        imageOf: (service) => `${project.name}${separator}${service}`,
    });
    const real = new Map();
    for (const { live } of content.places) {
        // One that can't be looked at is taken as it is written.
        real.set(live, await (0,promises_.realpath)(live).catch(() => live));
    }
    const file = external_node_path_default().join(directory, 'compose.yaml');
    return {
        ...{ base: project.directory, file, content, labels, real, ports: publishedPorts(document) },
        project: createComposeProject({
            ...{ name, directory, files: project.files, runtime: engine.runtime, compose: compose.of(file, name) },
            envFiles: [],
            environment: {},
        }),
    };
}
/** What this user may not look at is a directory: files that are mounted one by one are configuration, which he has. */
async function kindOf(source) {
    try {
        const found = await (0,promises_.stat)(source);
        return found.isDirectory() ? 'directory' : found.isFile() ? 'file' : 'other';
    }
    catch (error) {
        return error.code === 'ENOENT' ? 'missing' : 'directory';
    }
}

;// CONCATENATED MODULE: ./src/modes/exchange.ts





/**
 * Unpack beside the live data → stop → swap by renames → load → start → health. The data from before lie aside, untouched, when it has
 * ended: answers with where. Undone, they are live again.
 */
async function exchangeData(tools, patience, exchange) {
    const { project, recorder, saga } = tools;
    const { parts, sources, directory, run, anew } = exchange;
    const staged = [];
    for (const part of parts) {
        const source = sources.get(part.name);
        const swaps = await recorder.step(`Unpack ${part.name} beside the live data`, () => saga.step(`stage ${part.name}`, { undo: { action: 'unstage', data: { part, run, anew } } }, () => source.stage(part, partReader(directory), run)));
        staged.push({ part, source, swaps });
    }
    const writers = [...(await data_writersOf(project, [...sources.values()])), ...(exchange.databases?.writers ?? [])];
    const resting = anew
        ? [...new Set([...(await project.services()), ...(await knownServices(project))])]
        : await withDependents(project, [...new Set(writers)]);
    await recorder.step('Stop the services that use the data', () => saga.step('stop', { undo: null }, async () => {
        if (await project.running())
            recorder.away();
        await project.stop(resting);
    }));
    if (staged.length > 0)
        await recorder.step('Swap the data', () => swapAll(tools, staged));
    const loading = (part, work) => recorder.step(`Load ${part.name}`, () => saga.step(`load ${part.name}`, { undo: { action: 'stop', data: { services: resting } } }, work));
    await loadAll(tools, staged, directory, loading, anew ? (server) => upAlone(project, server) : undefined);
    const { databases } = exchange;
    if (databases !== undefined)
        await recorder.step('Swap the databases', () => databases.exchange());
    await recorder.step('Start', () => saga.step('start', { undo: { action: 'stop', data: { services: resting } } }, () => exchange.start(resting)));
    await becomeHealthy(tools, patience);
    for (const { part, source } of staged)
        await warnOfDoubts(tools, part, source);
    return staged.map(({ part, swaps }) => ({ part, swaps }));
}
/** Nothing is given up for what can only not be asked. */
async function warnOfDoubts({ recorder, log }, part, source) {
    try {
        for (const doubt of (await source.doubts?.()) ?? [])
            recorder.warn(doubt);
    }
    catch (error) {
        log.debug(`${part.name} can't be asked whether it is as it should be: ${(0,errors/* messageOf */.bD)(error)}`);
    }
}
/** The project's own files come from git and the administrator; they do not go back with the data. */
function dataParts(parts) {
    return parts.filter(({ kind }) => kind !== 'project-files');
}
function partReader(directory) {
    return (file) => readPart(external_node_path_default().join(directory, file.file), file);
}
/** Trees before the single database files that lie inside them: a tree carries those along, and they are exchanged after it. */
function inSwapOrder(staged) {
    const swaps = staged.flatMap(({ swaps }) => swaps);
    return [...swaps.filter(({ kind }) => kind === 'directory'), ...swaps.filter(({ kind }) => kind !== 'directory')];
}
async function swapAll(tools, staged) {
    for (const swap of inSwapOrder(staged)) {
        tools.log.info(`${swap.live}: the backup's data in, the data from before aside in ${swap.aside}`);
        await tools.saga.step(`swap ${swap.live}`, { undo: { action: 'unswap', data: swap } }, () => tools.project.files.swap(swap));
    }
}
/** A dump needs its database server, and nothing else that could write meanwhile. `around` journals each load where there is a saga. */
async function loadAll(tools, staged, directory, around, start = (server) => startProject(tools, [server])) {
    for (const { part, source } of staged) {
        const { server } = source;
        if (!source.loads || server === undefined)
            continue;
        await around(part, async () => {
            await start(server);
            await source.load?.(part, partReader(directory));
        });
    }
}
/** podman-compose brings up what depends on a server with it. */
async function upAlone(project, server) {
    await project.up([server]);
    await project.stop((await knownServices(project)).filter((service) => service !== server));
}
/** Starts the containers that are there; brings the project up where it has none. */
async function startProject(tools, services) {
    const { project } = tools;
    const present = new Set((await project.containers()).map(({ service }) => service));
    const complete = project.engine === null || (services ?? []).every((service) => present.has(service));
    await (services !== undefined && complete ? project.start(services) : project.up(services));
}

;// CONCATENATED MODULE: ./src/modes/throwaway.ts











/**
 * Makes a throwaway with the data of a backup unpacked and nothing started, lets `work` use it, and takes it away whatever happened: here, or by the undo of the
 * journal. The project itself is only read.
 */
async function withThrowaway(tools, options, work) {
    const { project, recorder, saga, run } = tools;
    const name = `${project.name}-throwaway-${run.slice(-4)}`;
    const directory = external_node_path_default().join(project.stateDirectory, 'throwaway', name);
    const parts = dataParts(options.parts);
    const data = parts.flatMap(({ origin }) => origin.path);
    const plan = await planThrowaway(project, { name, directory, data, outside: options.outside });
    const record = { name, directory };
    return saga.step('throwaway', { undo: { action: 'drop-throwaway', data: record } }, async () => {
        for (const line of plan.content.without)
            tools.log.info(`In the throwaway: ${line}`);
        await make(tools, plan, directory);
        const probes = await probesOf(tools, plan, options);
        const copy = { ...tools, project: plan.project, probes, plan: undefined };
        const staged = [];
        for (const part of parts) {
            const filled = await recorder.step(`Unpack ${part.name} into the throwaway`, () => fill(copy, plan, directory, part, options));
            if (filled !== null)
                staged.push(filled);
        }
        for (const swap of inSwapOrder(staged))
            await project.files.swap(swap);
        // What is mounted from inside a directory must be there, whether the backup has it or not.
        for (const copy of plan.content.nested)
            await throwaway_makeParents(project.files, external_node_path_default().join(copy, '.'), [directory]);
        const result = await work({ tools: copy, plan, staged });
        await recorder.step('Remove the throwaway', () => dropThrowaway(tools, record));
        return result;
    });
}
async function make({ project }, { content, file, labels }, directory) {
    // The places of its staging and of its data.
    for (const one of ['.caretaker/staging', 'data'])
        await (0,promises_.mkdir)(external_node_path_default().join(directory, one), { recursive: true, mode: 0o700 });
    await (0,system_files/* writeAtomic */.vZ)(file, content.text);
    for (const { live, copy } of content.directories) {
        const like = (await project.files.exists(live)) ? live : directory;
        await project.files.makeDirectory(copy, like);
    }
    for (const name of content.volumes.values())
        await project.engine?.runtime.createVolume(name, labels);
}
/** What the files of the databases tell, what is left to load (dumps), and what the database servers tell, started alone. */
async function proveDatabases(throwaway, directory, note) {
    const { staged } = throwaway;
    const { recorder } = throwaway.tools;
    for (const { part, source } of staged) {
        const { proves } = source;
        if (proves?.resting === undefined)
            continue;
        note(await recorder.step(`Check the files of ${part.name}`, () => proves.resting?.(part) ?? Promise.resolve([])));
    }
    await startDatabases(throwaway, directory);
    for (const { part, source } of staged) {
        const { proves } = source;
        if (proves?.serving === undefined)
            continue;
        note(await recorder.step(`Check ${part.name}`, () => proves.serving?.(part) ?? Promise.resolve([])));
    }
}
/** The database servers alone, with what is left to load (dumps). */
async function startDatabases({ tools, staged }, directory) {
    const { project, recorder } = tools;
    await loadAll(tools, staged, directory, (part, work) => recorder.step(`Load ${part.name}`, work));
    const servers = serversOf(staged.map(({ source }) => source));
    if (servers.length > 0)
        await recorder.step('Start the database servers', () => project.up(servers));
}
/** One part, unpacked beside the place where the throwaway has it: nowhere else, whatever the manifest and the compose file say. */
async function fill(tools, plan, directory, part, { directory: files, asItWas = false }) {
    const { log, clock, run, project } = tools;
    const origin = ownOrigin(part, plan);
    if (asItWas && origin === null) {
        tools.recorder.warn(`Rehearsed without ${part.name}: no service of the new version has it mounted.`);
        return null;
    }
    const deps = { project, log, clock, run, ...(asItWas ? { back: true } : {}) };
    const source = await sourceForPart({ ...part, origin: origin ?? part.origin }, deps);
    const homes = [directory];
    for (const name of plan.content.volumes.values()) {
        const info = await project.engine?.runtime.volume(name);
        if (info !== undefined && info !== null)
            homes.push(info.mountpoint);
    }
    if (!homes.some((home) => within(home, source.origin.path) !== undefined)) {
        throw new errors/* CaretakerError */.xT('part-homeless', `failed to find where ${part.name} belongs in a throwaway: it would go to ${source.origin.path}, which is not its own`, { input: 'data', hint: 'Data that no service has mounted can be checked with proof: read.' });
    }
    await throwaway_makeParents(project.files, source.origin.path, homes);
    return { part, source, swaps: await source.stage(part, partReader(files), run) };
}
/** A database may lie deeper than what is mounted. */
async function throwaway_makeParents(files, place, homes) {
    const missing = [];
    for (let one = external_node_path_default().dirname(place); !homes.includes(one) && !(await files.exists(one)); one = external_node_path_default().dirname(one))
        missing.unshift(one);
    for (const one of missing)
        await files.makeDirectory(one, external_node_path_default().dirname(one));
}
/** The copy's place for what a part was taken from; null where the throwaway has none. */
function ownOrigin({ origin }, plan) {
    const { content } = plan;
    const { volume, relativePath: _there, ...rest } = origin;
    if (volume !== undefined) {
        const own = content.volumes.get(volume);
        return own === undefined
            ? null
            : { ...rest, volume: own, path: origin.path.replace(`/${volume}/_data`, `/${own}/_data`) };
    }
    // The data's own path has no links in it; that of the compose file may.
    for (const { live, copy } of content.places) {
        for (const one of [live, plan.real.get(live) ?? live]) {
            const inside = within(one, origin.path);
            if (inside !== undefined)
                return { ...rest, path: external_node_path_default().join(copy, inside) };
        }
    }
    return null;
}
/** Takes a throwaway away, in whatever state it is. Nothing there is no error. */
async function dropThrowaway({ project }, { name, directory }) {
    const { engine, files } = project;
    if (engine !== null) {
        const { runtime } = engine;
        const containers = await runtime.containers({ 'com.docker.compose.project': name });
        const foreign = containers.find(({ labels }) => labels[THROWAWAY_LABEL] !== name);
        if (foreign !== undefined) {
            throw new errors/* CaretakerError */.xT('not-ours', `refused to remove the container ${foreign.name}: it is no throwaway's`);
        }
        await runtime.remove(containers.map(({ id }) => id), { anonymousVolumes: true });
        await runtime.removeRest(name);
        // Not by whose it is: a new version may name the project otherwise.
        const labels = { [THROWAWAY_LABEL]: name };
        for (const volume of await runtime.volumes(labels))
            await runtime.removeVolume(volume.name, labels);
    }
    await files.remove([directory]);
    // The last of them takes the place of all along.
    await (0,promises_.rmdir)(external_node_path_default().dirname(directory)).catch((error) => {
        if (!['ENOENT', 'ENOTEMPTY'].includes(error.code ?? ''))
            throw error;
    });
}
/** The project's checks, as far as they can be made of a throwaway. */
async function probesOf(tools, plan, { health, parts }) {
    const { log, network } = tools;
    const states = { name: 'services', shallow: true, check: () => plan.project.look() };
    const probes = [states, await roomProbe(tools, parts)];
    const told = health.length > 0;
    const urls = told
        ? health.flatMap((line) => (line.type === 'http' ? [line] : []))
        : tools.probes.flatMap(({ name }) => (name.startsWith('http') ? [{ url: name, status: '<500' }] : []));
    for (const line of health) {
        if (line.type === 'command')
            log.info(`In the throwaway: not asked: ${line.run}: a command asks what serves`);
    }
    for (const question of urls) {
        const { url } = question;
        const { port, protocol, hostname } = new URL(url);
        const hostPort = Number(port === '' ? (protocol === 'https:' ? 443 : 80) : port);
        const published = plan.ports.find((one) => one.hostPort === hostPort);
        const byName = !/^(localhost|127\..*|\[::1\])$/.test(hostname);
        if (published === undefined || byName) {
            const why = byName
                ? 'the name leads elsewhere; give an address of localhost as well'
                : `no service publishes the port ${hostPort}`;
            log.info(`In the throwaway: not asked: ${url}: ${why}`);
            continue;
        }
        probes.push({
            name: url,
            ...(told ? {} : { shallow: true }),
            async check() {
                const containers = await plan.project.containers();
                const serving = containers.find(({ service, pid }) => service === published.service && pid !== undefined);
                if (serving?.pid === undefined)
                    return { ok: false, detail: `${published.service} does not run` };
                return network.http({ id: serving.id, pid: serving.pid }, published.containerPort, question);
            },
        });
    }
    return probes;
}
/** By its name a failure is known that says nothing of the data. */
const DISK_PROBE = 'disk';
/** What brings the data of a backup up may write as much again, and so much besides. */
const WORKING_BYTES = 2 * 1024 ** 3;
const LEAST_FREE_BYTES = 1024 ** 3;
/** A version that writes without end must not fill the disk of what serves. */
async function roomProbe({ project }, parts) {
    const { stateDirectory } = project;
    const data = parts.flatMap(({ files }) => files).reduce((sum, { rawBytes }) => sum + rawBytes, 0);
    const before = await freeBytes(stateDirectory);
    const least = Math.max(before - data - WORKING_BYTES, Math.min(LEAST_FREE_BYTES, before / 2));
    return {
        name: DISK_PROBE,
        shallow: true,
        async check() {
            const free = await freeBytes(stateDirectory);
            return free >= least
                ? { ok: true, detail: `${(0,units/* formatBytes */.z3)(free)} free` }
                : {
                    ok: false,
                    fatal: true,
                    detail: `${(0,units/* formatBytes */.z3)(before - free)} were written since it began, ${(0,units/* formatBytes */.z3)(free)} are free`,
                };
        },
    };
}

;// CONCATENATED MODULE: ./src/modes/rehearsal.ts










/** By this a migrate-command tells that it means whatever project it is called for; what names a project or a file itself means that one. */
const KNOWS_THROWAWAYS = /\$\{?CARETAKER_THROWAWAY\b/;
const NAMES_ANOTHER = /(?:^|\s)(?:-f|-p|--file|--project-name|--project-directory)\b|COMPOSE_(?:FILE|PROJECT_NAME)=/;
/** Before anything is touched: throws `migrate-not-rehearsable` for a command that might migrate what serves. */
function refuseMigrateCommand({ migrateCommand, rehearse: wanted }) {
    if (wanted === 'no' || migrateCommand === undefined)
        return;
    if (KNOWS_THROWAWAYS.test(migrateCommand) && !NAMES_ANOTHER.test(migrateCommand))
        return;
    throw new errors/* CaretakerError */.xT('migrate-not-rehearsable', `the migrate-command may not be tried: it might mean what serves: ${migrateCommand}`, {
        input: 'migrate-command',
        hint: 'In a rehearsal COMPOSE_PROJECT_NAME and COMPOSE_FILE lead "docker compose" and "podman-compose" to the throwaway, whose name is in CARETAKER_THROWAWAY. Write a command that names no project and no file itself, and says that it knows by using the variable: : "${CARETAKER_THROWAWAY:-}"; docker compose run --rm web migrate',
    });
}
/**
 * Tries the new version, whose code and images are there by now, on a copy of the data of this moment, while the old version serves: migration, start, health, in a throwaway that is taken away. Answers with what
 * was seen, a line each. Throws `rehearsal-failed` where the new version would not do.
 */
async function rehearse(tools, settings, what) {
    const { project, recorder, clock, run } = tools;
    const directory = external_node_path_default().join(project.stateDirectory, 'staging', `${run}-rehearsal`);
    const seen = [];
    const note = (line) => {
        seen.push(line);
        tools.log.info(`rehearsed: ${line}`);
        recorder.sections = { ...recorder.sections, rehearsal: { seen } };
    };
    const timed = async (what, work) => {
        const start = clock.monotonic();
        await work();
        note(`${what} took ${(0,units/* formatSeconds */.Xo)((clock.monotonic() - start) / 1000)}`);
    };
    try {
        const request = { ...what, situation: 'serving', reason: 'before-update', directory };
        const { manifest } = await captureBackup(tools, request);
        const options = {
            ...{ parts: manifest.parts, directory, health: settings.health, asItWas: true },
            outside: settings.throwawayNetwork === 'open',
        };
        await withThrowaway(tools, options, async (throwaway) => {
            const { tools: copy, plan } = throwaway;
            try {
                await startDatabases(throwaway, directory);
                const { migrateCommand } = settings;
                if (migrateCommand !== undefined) {
                    const env = throwawayEnv(copy, plan.file);
                    await timed('the migration', () => recorder.step('Migrate the throwaway', () => migrate(tools, settings, migrateCommand, env)));
                }
                await timed('the start', () => recorder.step('Bring the new version up in the throwaway', () => bringUp(copy)));
                const { results, firstHealthySeconds = 0 } = await becomeHealthy(copy, settings);
                note(`healthy ${(0,units/* formatSeconds */.Xo)(firstHealthySeconds)} after it`);
                for (const { probe, detail } of results)
                    note(`${probe}: ${detail}`);
            }
            catch (error) {
                throw rehearsalFailed(error);
            }
        });
        return seen;
    }
    finally {
        await (0,promises_.rm)(directory, { recursive: true, force: true });
    }
}
/** The copy is packed first, and then unpacked. */
async function roomForRehearsal(sources, directory) {
    const sizes = await Promise.all(sources.map(rawBytes));
    const bytes = sizes.reduce((sum, size) => sum + size, 0);
    return [{ directory, bytes: 2 * bytes, what: 'the rehearsal’s copy of the data, packed and unpacked' }];
}
/** What says something of the new version; anything else is a fault of the rehearsal's. */
const SAYS_BAD = [
    'unhealthy',
    'migration-failed',
    'compose-failed',
    'engine-failed',
    'postgres-load-failed',
    'postgres-not-ready',
];
function rehearsalFailed(error) {
    if (!(error instanceof errors/* CaretakerError */.xT) || !SAYS_BAD.includes(error.code))
        return error;
    return new errors/* CaretakerError */.xT('rehearsal-failed', `the new version does not do on a copy of the data: ${(0,errors/* messageOf */.bD)(error)}`, {
        hint: 'What serves was not touched. The last words of the services tell more; a version that needs to reach other hosts needs throwaway-network: open.',
        cause: error,
    });
}

;// CONCATENATED MODULE: ./src/modes/update.ts














/**
 * update: choose the version and refuse what must not be → code → images and the bulk of the backup, while the old version serves → stop
 * what writes → the rest of the verified local backup → migrate → up → health → commit → store the backup. Whatever fails before the commit is undone in reverse by the
 * table in undo.ts: data back, images back, code back, the old version up and healthy.
 */
async function update(tools, settings) {
    const { project, checkout, recorder, saga } = tools;
    refuseMigrateCommand(settings);
    const head = (await checkout?.head()) ?? null;
    const target = await recorder.step('Look for a new version', () => chooseTarget(tools, settings));
    const from = update_versionOf(head);
    const unchanged = { updated: false, from, to: from, changed: [], captured: undefined };
    if (target === 'nothing-new')
        return unchanged;
    recorder.sections = { update: { from, to: labelOf(target), changedServices: [] } };
    const { sources, left } = await recorder.step('Find the data', () => dataSources(tools, settings.data));
    await recorder.step('Check health, stores and disk before anything is touched', async () => {
        await refuseUnhealthy(tools, settings);
        if (settings.rehearse !== 'only')
            for (const store of tools.stores)
                await store.check('write');
        await tools.local.check('write');
        await checkDisk(sources, project.stateDirectory, [
            ...(await roomForImages(project, settings.build)),
            ...(settings.rehearse === 'no' ? [] : await roomForRehearsal(sources, project.stateDirectory)),
        ]);
        await refuseMajorChangeAt(tools, sources, target, settings.allow);
    });
    const modelBefore = JSON.stringify(await project.engine?.compose.model());
    const serving = await noteWhatServes(tools, settings);
    let code = null;
    if (checkout !== null && target !== 'as-it-is') {
        code = await checkout.snapshot(target);
        await recorder.step(`Check out ${target.label}`, () => saga.step('check out', { undo: { action: 'code-back', data: code } }, () => checkout.checkout(target, settings.allow)));
    }
    const names = await protectImages(project, tools.run);
    await recorder.step('Build or pull the images while the old version serves', () => saga.step('images', { undo: { action: 'images-back', data: names } }, () => prepareImages(tools, settings)));
    await refuseMajorChange(tools, sources, settings.allow);
    await refuseTakenPorts(tools);
    const changed = await changedImages(project);
    const modelChanged = JSON.stringify(await project.engine?.compose.model()) !== modelBefore;
    if (project.engine !== null && changed.length === 0 && !modelChanged) {
        if (target === 'as-it-is') {
            await dropProtections(project, PROTECTED_VERSIONS);
            await saga.commit([]);
            return unchanged;
        }
        recorder.warn(`${labelOf(target)} changes no image and no configuration of the stack: what serves is what served before. Is "build" right?`);
    }
    try {
        if (settings.rehearse !== 'no')
            await rehearse(tools, settings, { sources, left, head });
        if (settings.rehearse === 'only') {
            await recorder.step('Put code and images back', () => saga.goBack());
            return { ...unchanged, rehearsed: true, to: labelOf(target), changed };
        }
        const outcome = await switchOver(tools, settings, { sources, left, reason: 'before-update', head, serving }, async () => {
            const { migrateCommand } = settings;
            if (migrateCommand !== undefined) {
                await recorder.step('Migrate', () => migrate(tools, settings, migrateCommand));
            }
            await recorder.step('Switch to the new version', () => bringUp(tools));
        }, async (captured) => {
            const outcome = { updated: true, from, to: labelOf(target), changed, captured };
            recorder.sections = { ...recorder.sections, ...sectionsOf({ mode: 'update', ...outcome }, tools) };
            const done = {
                ...{ run: tools.run, from, to: labelOf(target), code, images: names, backup: captured.manifest.name },
                at: tools.clock.now().toISOString(),
                commit: (await checkout?.head())?.commit ?? null,
            };
            const { keepLocal, keepLocalDays } = settings;
            await saga.commit([
                { action: 'remember-update', data: done },
                { action: 'store-backup', data: { backup: captured.manifest.name } },
                { action: 'tidy', data: { keepLocal, keepLocalDays, keepVersions: PROTECTED_VERSIONS } },
            ]);
            return outcome;
        });
        if (settings.cacheImages) {
            await recorder.step('Keep the images for other hosts', () => imagesToCache(tools, settings));
        }
        return outcome;
    }
    catch (error) {
        if (target !== 'as-it-is' && error instanceof errors/* CaretakerError */.xT && isOfVersion(error)) {
            const bad = { commit: target.commit, label: target.label, at: tools.clock.now().toISOString(), why: error.code };
            await avoid(project.stateDirectory, bad).catch((failure) => {
                recorder.warn(`The next run that follows releases will try ${target.label} again: ${(0,errors/* messageOf */.bD)(failure)}`);
            });
        }
        throw error;
    }
}
/** Whether it says something of the version itself. */
function isOfVersion(error) {
    if (error.code === 'rehearsal-failed')
        return error.cause instanceof errors/* CaretakerError */.xT && isOfVersion(error.cause);
    return ['unhealthy', 'migration-failed'].includes(error.code);
}
function update_versionOf(head) {
    return head === null ? null : (head.tag ?? head.describe ?? head.commit);
}
function labelOf(target) {
    return target === 'as-it-is' ? 'the images’ newest versions' : target.label;
}
/** An update of an application that is ill already can't tell its own failure from the old one. */
async function refuseUnhealthy(tools, settings) {
    if (settings.allow.includes('unhealthy') || !(await tools.project.running()))
        return;
    const report = await waitHealthy(tools.probes, {
        ...tools,
        timeoutMs: Math.min(settings.healthTimeoutMs, 60_000),
        settleMs: 0,
    });
    if (report.healthy)
        return;
    const seen = report.results.filter(({ ok }) => !ok).map(({ probe, detail }) => `${probe}: ${detail}`);
    throw new errors/* CaretakerError */.xT('unhealthy-before', `the application is not healthy before the update: ${seen.join('; ')}`, {
        input: 'allow',
        hint: 'Mend it first, or add "unhealthy" to allow if the update is the mending.',
    });
}

;// CONCATENATED MODULE: ./src/modes/plan.ts













/**
 * update with `dry-run`: all that refuses is asked, and what would follow is said. Touches nothing but the clone's knowledge of its remote (`git fetch`). What the new
 * version's compose file changes can't be known before it is checked out.
 */
async function planUpdate(tools, settings) {
    const { project, checkout, recorder, stores } = tools;
    const from = update_versionOf((await checkout?.head()) ?? null);
    const target = await recorder.step('Look for a new version', () => chooseTarget(tools, settings));
    if (target === 'nothing-new')
        return { from, to: from, plan: ['Nothing: there is nothing newer.'] };
    const { sources, left } = await recorder.step('Find the data', () => dataSources(tools, settings.data));
    await recorder.step('Check health, stores and disk', async () => {
        await refuseUnhealthy(tools, settings);
        for (const store of stores) {
            // The state directory is made by the first run that does something.
            const ours = store.directory !== undefined && external_node_path_default().dirname(store.directory) === project.stateDirectory;
            if (!ours || (0,external_node_fs_.existsSync)(project.stateDirectory))
                await store.check('write');
        }
        await checkDisk(sources, project.directory, await roomForImages(project, settings.build));
        await refuseMajorChangeAt(tools, sources, target, settings.allow);
    });
    const plan = [];
    if ((0,external_node_fs_.existsSync)(external_node_path_default().join(project.stateDirectory, 'journal.jsonl'))) {
        const cutOff = await (await openJournal(project.stateDirectory)).unfinished();
        if (cutOff !== null)
            plan.push(`Finish or undo the ${cutOff.mode} ${cutOff.run} of ${cutOff.at}, which was cut off.`);
    }
    if (checkout !== null && target !== 'as-it-is') {
        const dirty = await checkout.dirtyFiles();
        const carried = dirty.length === 0 ? '' : `, carrying along the local changes of ${dirty.join(', ')}`;
        plan.push(`Check out ${target.label} (${target.commit}) in ${checkout.directory}${carried}.`);
    }
    plan.push(await imagesOf(tools, settings));
    const sizes = await Promise.all(sources.map(rawBytes));
    for (const [index, source] of sources.entries()) {
        const passes = source.warm === undefined
            ? 'while it stands still'
            : 'while it serves, and what changed since while it stands still';
        plan.push(`Back up ${source.describe()}, ${(0,units/* formatBytes */.z3)(sizes[index] ?? 0)} before compression, ${passes}.`);
    }
    for (const { what, why } of left)
        plan.push(`Leave out ${what}: ${why}.`);
    const serving = await runningServices(project);
    const resting = (await restingServices(tools, sources)).filter((service) => serving.includes(service));
    plan.push(serving.length === 0
        ? 'Stop nothing: nothing runs.'
        : `Stop ${resting.join(', ')}; ${plan_listed(serving.filter((service) => !resting.includes(service)))} until the switch.`);
    if (settings.migrateCommand !== undefined)
        plan.push(`Migrate: ${settings.migrateCommand}`);
    plan.push(`Bring up the new version, wait up to ${settings.healthTimeoutMs / 1000} s for health and ${settings.settleMs / 1000} s for it to last; on failure all goes back.`, `Store the backup in ${stores.map(({ name }) => name).join(', ')}. ${(0,units/* formatBytes */.z3)(await freeBytes(project.directory))} are free in ${project.directory}.`);
    return { from, to: labelOf(target), plan };
}
function plan_listed(others) {
    return others.length === 0 ? 'nothing runs on' : `${others.join(', ')} run${others.length === 1 ? 's' : ''} on`;
}
async function imagesOf({ project }, { build }) {
    if (build.kind === 'command')
        return `Build: ${build.command}`;
    if (project.engine === null || build.kind === 'none')
        return 'Build and pull nothing.';
    const { services } = await project.engine.compose.model();
    const built = services.filter((service) => service.build).map(({ name }) => name);
    const others = services.filter((service) => !service.build).map(({ name }) => name);
    const pulled = build.kind === 'pull'
        ? `pull those of ${others.join(', ') || 'no service'}`
        : build.kind === 'auto'
            ? 'pull what is not on the host yet'
            : 'pull nothing';
    return `Build the images of ${built.join(', ') || 'no service'}, ${pulled}; the old version serves meanwhile.`;
}

;// CONCATENATED MODULE: ./src/modes/recorder.ts
/** Times what a mode does and when the application was away, for the report. */
class Recorder {
    steps = [];
    warnings = [];
    stored = [];
    safetyBackup;
    /** What the report tells also when the run fails later. */
    sections = {};
    /** What became of an earlier run that had been cut off. */
    recovery;
    /** True once something was copied or touched: a failure is then no refusal any more. */
    acted = false;
    health;
    /** The last log lines of the services that were not well when the run failed, before anything was undone. */
    lastWords;
    #log;
    #clock;
    #begin;
    #spans = [];
    #awaySince;
    constructor(log, clock) {
        this.#log = log;
        this.#clock = clock;
        this.#begin = clock.monotonic();
    }
    #now() {
        return (this.#clock.monotonic() - this.#begin) / 1000;
    }
    /** Runs one step in a log group of its own and notes how long it took. */
    async step(name, work) {
        const startSeconds = this.#now();
        const note = (outcome) => {
            this.steps.push({ name, startSeconds, seconds: this.#now() - startSeconds, outcome });
        };
        try {
            const value = await this.#log.group(name, work);
            note('done');
            return value;
        }
        catch (error) {
            note('failed');
            throw error;
        }
    }
    warn(line) {
        this.warnings.push(line);
        this.#log.warn(line);
    }
    /** The first service is about to be stopped. A second call changes nothing. */
    away() {
        this.#awaySince ??= this.#now();
    }
    /** Health passed first so many seconds ago: waiting for it to last is no downtime. */
    serving(secondsAgo = 0) {
        if (this.#awaySince === undefined)
            return;
        const startSeconds = this.#awaySince;
        this.#spans.push({ startSeconds, seconds: Math.max(0, this.#now() - secondsAgo - startSeconds) });
        this.#awaySince = undefined;
    }
    /** Each from the first stop to the first passed health, the last one up to now if it is not over. */
    get outages() {
        if (this.#awaySince === undefined)
            return this.#spans;
        return [...this.#spans, { startSeconds: this.#awaySince, seconds: this.#now() - this.#awaySince }];
    }
    /** The sum of these; undefined where nothing was stopped. */
    get downtimeSeconds() {
        const sum = this.outages.reduce((total, { seconds }) => total + seconds, 0);
        return sum === 0 ? undefined : sum;
    }
}

;// CONCATENATED MODULE: ./src/modes/choose.ts



/**
 * Finds the backup that is meant. A name, an id or a path is looked for in the user's stores and then among the local safety backups; what is only described (`latest`, before a time, of a version) in the
 * user's stores alone, where there are any: a safety backup holds what somebody wanted to get away from. Of several copies of one backup that in the store named first is
 * taken. `anywhere`: nothing tells yet how the project is called, so that a name or an id may be another's, too. One that is missing or ambiguous lists the candidates: `backup-not-found`, `backup-ambiguous`.
 */
async function chooseBackup(tools, wanted, openFolder, { anywhere = false } = {}) {
    const { project } = tools;
    const manifestAt = wanted.by === 'path' && wanted.path.endsWith('.manifest.json') ? wanted.path : undefined;
    const stores = wanted.by === 'path'
        ? [openFolder(manifestAt === undefined ? wanted.path : external_node_path_default().dirname(manifestAt))]
        : [...tools.stores, tools.local];
    // A folder that is given outright may hold another project's backup: the confirmation and the parts' origins decide then.
    const ofAll = wanted.by === 'path' || (anywhere && (wanted.by === 'name' || wanted.by === 'id'));
    const candidates = [];
    for (const store of stores) {
        await store.check('read');
        for (const backup of await store.list(ofAll ? undefined : project.name))
            candidates.push({ store, backup });
    }
    candidates.sort((one, other) => other.backup.createdAt.getTime() - one.backup.createdAt.getTime());
    const described = candidates.filter(({ store }) => store !== tools.local || tools.stores.length === 0);
    const chosen = await choose();
    if (chosen === undefined)
        throw missing(wanted.text, project.name, candidates, anywhere);
    return { ...chosen, manifest: openManifest(await chosen.store.readManifest(chosen.backup)) };
    async function choose() {
        switch (wanted.by) {
            case 'latest':
                return described[0];
            case 'before':
                return described.find(({ backup }) => backup.createdAt < wanted.at);
            case 'age':
                return described.find(({ backup }) => backup.createdAt.getTime() <= tools.clock.now().getTime() - wanted.ms);
            case 'version':
                return newestOf(tools, described, wanted.version);
            case 'name':
                return candidates.find(({ backup }) => backup.name === wanted.text);
            case 'id':
                return withId(candidates, wanted.text);
            case 'path':
                return manifestAt === undefined
                    ? candidates[0]
                    : candidates.find(({ backup }) => backup.name === external_node_path_default().basename(manifestAt, '.manifest.json'));
        }
    }
}
/** Reads manifests, newest first, down to the first of that version. */
async function newestOf({ log }, candidates, version) {
    const plain = (text) => text.replace(/^v(?=\d)/i, '');
    for (const candidate of candidates) {
        const { store, backup } = candidate;
        try {
            const { tag, describe, commit } = openManifest(await store.readManifest(backup)).version;
            const isCommit = /^[0-9a-f]{7,40}$/.test(version) && commit?.startsWith(version) === true;
            if (isCommit || [tag, describe].some((name) => name !== null && plain(name) === plain(version)))
                return candidate;
        }
        catch (error) {
            if (!(error instanceof errors/* CaretakerError */.xT) || error.code === 'cancelled')
                throw error;
            log.warn(`Whether ${backup.name} (${store.name}) is of ${version} can't be told: ${error.message}`);
        }
    }
    return undefined;
}
function withId(candidates, id) {
    const ofRun = candidates.filter(({ backup }) => String(backup.runId) === id);
    const distinct = new Set(ofRun.map(({ backup }) => backup.name));
    if (distinct.size > 1) {
        throw new errors/* CaretakerError */.xT('backup-ambiguous', `run ${id} stored ${distinct.size} backups: ${[...distinct].join(', ')}`, { input: 'backup', hint: 'Give one of these names.' });
    }
    return ofRun[0] ?? candidates.find(({ backup }) => backup.ids.includes(id));
}
function missing(wanted, project, candidates, anywhere) {
    const lines = candidates.slice(0, 20).map(({ store, backup }) => {
        const run = backup.runId === undefined ? '' : `, run ${backup.runId}`;
        return `  ${backup.name} (${store.name}${run})`;
    });
    return new errors/* CaretakerError */.xT('backup-not-found', wanted === 'latest'
        ? `there is no backup of ${project} in the stores`
        : `there is no backup "${wanted}" of ${project} in the stores`, {
        input: 'backup',
        hint: lines.length === 0
            ? anywhere
                ? 'There is no compose file here, so the directory’s name was taken for the project’s. Set project-name, or give the backup by its full name; check store and github-token.'
                : 'Check store, project-name and github-token: nothing was found at all.'
            : `These are there:\n${lines.join('\n')}`,
    });
}

;// CONCATENATED MODULE: ./src/modes/pieces.ts



/**
 * What `only` means for this backup. Without it, all parts but the project's own files: code and configuration are what git and the
 * administrator say. `part-unknown`, `part-indivisible`, `database-unknown`.
 */
function choosePieces(manifest, only, where = 'live') {
    if (only.length === 0 && where === 'elsewhere')
        return manifest.parts.map((part) => ({ part, paths: [], databases: [] }));
    if (only.length === 0)
        return dataParts(manifest.parts).map((part) => pieceOf(part, [], where));
    const problems = [];
    const unknown = [...new Set(only.map(({ part }) => part))].filter((name) => !manifest.parts.some((part) => part.name === name));
    if (unknown.length > 0) {
        problems.push(new errors/* CaretakerError */.xT('part-unknown', `backup ${manifest.name} has no part ${unknown.join(', ')}`, {
            input: 'only',
            hint: `Its parts are: ${manifest.parts.map(({ name }) => name).join(', ')}.`,
        }));
    }
    const pieces = [];
    for (const part of manifest.parts) {
        const wanted = only.filter((selection) => selection.part === part.name);
        problems.push(...wanted.flatMap((selection) => problemWith(part, selection) ?? []));
        if (wanted.length > 0)
            pieces.push(pieceOf(part, wanted, where));
    }
    const [first] = problems;
    if (first !== undefined)
        throw problems.length === 1 ? first : new errors/* CaretakerErrors */.Ur(problems);
    return pieces;
}
/** As `only` says it. */
function pieces_namesOf({ part, paths, databases }) {
    if (paths.length > 0)
        return paths.map((path) => `${part.name}/${path}`);
    return databases.length > 0 ? databases.map((database) => `${part.name}:${database}`) : [part.name];
}
function pieceOf(part, wanted, where) {
    const paths = wanted.flatMap((selection) => (selection.what === 'path' ? [selection.path] : []));
    const named = wanted.flatMap((selection) => (selection.what === 'database' ? [selection.database] : []));
    const databases = named.length === 0 && where === 'live' && isOfDatabases(part) ? (part.postgres?.databases ?? []) : named;
    if (databases.length === 0)
        return { part, paths, databases };
    const ends = databases.map((database) => `.${part.name}.${dumpSuffix(database)}.zst`);
    // Whoever loads it into a server of his own needs the roles, too.
    if (where === 'elsewhere')
        ends.push(`.${part.name}.globals.sql.zst`);
    return {
        part: { ...part, files: part.files.filter(({ file }) => ends.some((end) => file.endsWith(end))) },
        paths,
        databases,
    };
}
/** Without roles and settings no server can be made of it: single databases, taken when a restore replaced them. */
function isOfDatabases(part) {
    return part.method === 'dump' && !part.files.some(({ file }) => file.endsWith('.globals.sql.zst'));
}
function problemWith(part, selection) {
    if (selection.what === 'part')
        return undefined;
    const indivisible = (why, hint) => new errors/* CaretakerError */.xT('part-indivisible', `"${selection.text}" can’t be taken out of ${part.name}: ${why}`, {
        input: 'only',
        hint,
    });
    if (selection.what === 'path') {
        if (part.kind === 'volume' || part.kind === 'directory')
            return undefined;
        const why = part.kind === 'postgres'
            ? 'it is a database server'
            : part.kind === 'sqlite'
                ? 'it is one database'
                : 'it is no tree of data';
        return indivisible(why, `Write only: ${part.name}${part.method === 'dump' ? `, or only: ${part.name}:DATABASE` : ''}.`);
    }
    if (part.kind !== 'postgres') {
        return indivisible('it is no database server', `Write only: ${part.name}, or a path inside it: ${part.name}/PATH.`);
    }
    if (part.method !== 'dump') {
        return indivisible('it is a copy of the whole server’s files', `Restore the part elsewhere (only: ${part.name}, to: DIRECTORY), start a server of PostgreSQL ${part.postgres?.version ?? 'the same major version'} on it, and dump the database from there. Backups with method=dump give single databases back.`);
    }
    const databases = part.postgres?.databases ?? [];
    if (databases.includes(selection.database))
        return undefined;
    return new errors/* CaretakerError */.xT('database-unknown', `${part.name} has no database ${selection.database}`, {
        input: 'only',
        hint: databases.length === 0 ? 'It holds none.' : `Its databases are: ${databases.join(', ')}.`,
    });
}

;// CONCATENATED MODULE: ./src/modes/fetch.ts



/**
 * All that is needed of the backup in a new local directory, each file whole and its archive walked: `store-damaged`, `part-damaged`, `part-hostile`,
 * `disk-full`. With `walk: false` only the digest of each file is checked: for who reads all of them next, and can take back what he makes of them.
 */
async function fetchParts(tools, chosen, parts, directory, { walk = true } = {}) {
    const { instructions } = chosen.manifest;
    const files = parts.flatMap((part) => part.files);
    await (0,promises_.mkdir)(directory, { recursive: true, mode: 0o700 });
    // Nothing here reads it. But who has to restore by hand one day should not be the one to find out that it is damaged.
    await chosen.store.fetch(chosen.backup, instructions, external_node_path_default().join(directory, instructions.file));
    for (const file of files) {
        tools.signal.throwIfAborted();
        const target = external_node_path_default().join(directory, file.file);
        await chosen.store.fetch(chosen.backup, file, target);
        if (walk)
            await verifyPart(target, file);
        tools.log.info(`${file.file}: ${file.bytes} bytes, ${walk ? 'digest and archive are' : 'its digest is'} whole`);
    }
}

;// CONCATENATED MODULE: ./src/modes/project-files-back.ts







/**
 * Writes those of the project's own files that are not there: compose files, `.env`, what was mounted beside them. What is there stays as it is, with a warning where the backup has
 * something else. Answers with how many were written.
 */
async function bringProjectFiles(tools, chosen) {
    const { project, recorder, saga, log } = tools;
    const directory = external_node_path_default().join(project.stateDirectory, 'staging', `${tools.run}-project-files`);
    const parts = chosen.manifest.parts.filter(({ kind }) => kind === 'project-files');
    if (parts.length === 0)
        return 0;
    const files = [];
    try {
        await recorder.step('Fetch and verify the project’s own files', () => fetchParts(tools, chosen, parts, directory));
        for (const part of parts)
            files.push(...(await readProjectFiles(part, partReader(directory))));
    }
    finally {
        await (0,promises_.rm)(directory, { recursive: true, force: true });
    }
    const there = (file) => project_files_back_exists(external_node_path_default().join(project.directory, file));
    const missing = await missingFiles([...new Set(files.map((file) => file.path))], there);
    for (const file of files) {
        if (missing.includes(file.path))
            continue;
        const now = await (0,promises_.readFile)(external_node_path_default().join(project.directory, file.path)).catch(() => null);
        if (now !== null && !now.equals(file.content))
            recorder.warn(`${file.path} is here with another content than in ${chosen.manifest.name}, and stays as it is.`);
    }
    const wanted = files.filter((file, index) => {
        const last = files.findLastIndex((one) => one.path === file.path) === index;
        return last && missing.includes(file.path);
    });
    if (wanted.length === 0)
        return 0;
    for (const file of wanted)
        await refuseThroughLink(project.directory, external_node_path_default().dirname(file.path));
    const directories = await missingDirectories(project.directory, wanted.map((file) => external_node_path_default().dirname(file.path)));
    const written = {
        files: wanted.map((file) => ({ path: file.path, sha256: sha256Of(file.content) })),
        directories,
    };
    recorder.acted = true;
    await recorder.step('Write the project’s own files', () => saga.step('write the project’s own files', { undo: { action: 'files-away', data: written } }, async () => {
        const owner = await (0,promises_.stat)(project.directory);
        for (const one of directories)
            await (0,promises_.mkdir)(external_node_path_default().join(project.directory, one));
        for (const file of wanted) {
            maskSecretsOf(file, log);
            const target = external_node_path_default().join(project.directory, file.path);
            try {
                await (0,system_files/* writeAtomic */.vZ)(target, file.content, file.mode);
                if (process.getuid?.() === 0)
                    await (0,promises_.chown)(target, owner.uid, owner.gid);
            }
            catch (error) {
                throw (0,system_files/* fileError */.zS)(`write ${target}`, error);
            }
            log.info(`${file.path}: written`);
        }
        if (process.getuid?.() === 0)
            for (const one of directories)
                await (0,promises_.chown)(external_node_path_default().join(project.directory, one), owner.uid, owner.gid);
    }));
    return wanted.length;
}
/** Undo: what was changed meanwhile is somebody's, and stays. */
async function filesAway({ project, log }, written) {
    for (const { path: file, sha256 } of written.files) {
        const target = external_node_path_default().join(project.directory, file);
        await (0,system_files/* removeTemporaries */.AH)(external_node_path_default().dirname(target), external_node_path_default().basename(target)).catch((error) => {
            if (error.code !== 'ENOENT')
                throw error;
        });
        const now = await (0,promises_.readFile)(target).catch(() => null);
        if (now === null)
            continue;
        if (sha256Of(now) === sha256)
            await (0,promises_.rm)(target);
        else
            log.warn(`${target} was changed since this run wrote it, and stays.`);
    }
    await removeEmpty(project.directory, written.directories);
}
/** Those of these directories that are not there, with their parents, outer ones first; relative to `root` all. */
async function missingDirectories(root, wanted) {
    const missing = new Set();
    for (const one of wanted) {
        const names = one.split('/').filter((name) => name !== '' && name !== '.');
        for (let at = 1; at <= names.length; at++) {
            const part = names.slice(0, at).join('/');
            if (!(await project_files_back_exists(external_node_path_default().join(root, part))))
                missing.add(part);
        }
    }
    return [...missing].sort((one, other) => one.split('/').length - other.split('/').length);
}
/** Inner ones first. One that holds something, or can't be removed, stays. */
async function removeEmpty(root, directories) {
    for (const one of directories.toReversed())
        await (0,promises_.rmdir)(external_node_path_default().join(root, one)).catch(() => undefined);
}
/** A directory of the clone may be a link to elsewhere; the path comes from outside. */
async function refuseThroughLink(root, directory) {
    const place = external_node_path_default().join(root, directory);
    if (!(await project_files_back_exists(place))) {
        if (directory !== '.')
            await refuseThroughLink(root, external_node_path_default().dirname(directory));
        return;
    }
    const [top, real] = await Promise.all([(0,promises_.realpath)(root), (0,promises_.realpath)(place)]);
    if (real !== top && !real.startsWith(`${top}/`))
        throw (0,system_files/* fileError */.zS)(`write into ${place}`, new Error(`it leads to ${real}, outside of the project`));
}
/** No container runs yet whose environment would tell what is secret. */
function maskSecretsOf({ content }, log) {
    if (content.length > 64 * 1024)
        return;
    for (const line of content.toString('utf8').split('\n')) {
        const [, name = '', value = ''] = /^\s*(?:export\s+)?([A-Za-z_]\w*)\s*=\s*["']?(.*?)["']?\s*$/.exec(line) ?? [];
        if (/pass|secret|token|credential|private|api_?key/i.test(name) && value.length >= 6)
            log.mask(value);
    }
}
const sha256Of = (content) => (0,external_node_crypto_.createHash)('sha256').update(content).digest('hex');
/** A link that leads nowhere is there, too. */
async function project_files_back_exists(file) {
    return (await (0,promises_.lstat)(file).catch(() => null)) !== null;
}

;// CONCATENATED MODULE: ./src/modes/empty-host.ts









/**
 * Touches nothing. All parts of the backup count, also those that are not restored. `needed`: those that must have a place; where another version of the compose file
 * is going to count, there is none yet that must.
 */
async function lookAtGround(tools, parts, { needed }) {
    const { project } = tools;
    let empty = (await project.containers()).length === 0 && !(await project.running());
    const places = new Map();
    for (const part of dataParts(parts)) {
        try {
            const place = await lookFor(part, sourceDeps(tools));
            if ('volume' in place)
                continue;
            places.set(part.name, place.path);
            empty &&= await holdsNothing(tools, place.path);
        }
        catch (error) {
            const mayLack = error instanceof errors/* CaretakerError */.xT &&
                error.code === 'part-homeless' &&
                !needed.some(({ name }) => name === part.name);
            if (!mayLack)
                throw error;
        }
    }
    return { empty, places };
}
/** A fresh clone may bring directories that are mounted, and git has them still. */
async function holdsNothing({ project: { files }, checkout }, place) {
    if (!(await files.exists(place)))
        return true;
    const scan = await files.scan(place);
    return (scan.kind === 'directory' && scan.files === 0) || (await checkout?.isGits(scan.root)) === true;
}
/**
 * The first of a restore: the backup, and a project that it can go to. On a host that has no containers of it, compose files and `.env` come out of the backup where they are not there, and
 * the project is opened by them. `missing`: why there is no project yet.
 */
async function chooseAndOpen(tools, settings, openFolder, { reopen, missing }) {
    const { project, recorder } = tools;
    const chosen = await recorder.step('Choose the backup', () => chooseBackup(tools, settings.backup, openFolder, { anywhere: missing !== undefined }));
    if (missing === undefined && (project.engine === null || !(await seemsEmpty(tools, chosen.manifest))))
        return { tools, chosen };
    // What `only` can't mean is told before anything is written.
    choosePieces(chosen.manifest, settings.only);
    const written = await bringProjectFiles(tools, chosen);
    if (written === 0 && missing !== undefined)
        throw missing;
    const files = settings.composeFiles.length > 0 ? [] : await composeFilesOf(project, chosen.manifest);
    const others = files.length > 0 && files.join('\n') !== project.engine?.compose.files.join('\n');
    return { tools: written > 0 || others ? await reopen(files) : tools, chosen };
}
/** By what is there now; without its `.env` a compose file may not even be read. What is certain is looked at when the files are there. */
async function seemsEmpty(tools, manifest) {
    if ((await tools.project.containers()).length > 0)
        return false;
    try {
        return (await lookAtGround(tools, manifest.parts, { needed: [] })).empty;
    }
    catch (error) {
        // Missing: what a killed run had written was taken away again just now.
        const unread = ['compose-file-invalid', 'compose-file-missing', 'env-file-missing'];
        if (error instanceof errors/* CaretakerError */.xT && unread.includes(error.code))
            return true;
        throw error;
    }
}
/** The backup's own, where all of them are here. */
async function composeFilesOf(project, manifest) {
    const names = manifest.engine?.composeFiles ?? [];
    const files = [];
    for (const name of names) {
        const file = external_node_path_default().resolve(project.directory, name);
        if (!file.startsWith(`${project.directory}/`) || !(await project.files.exists(file)))
            return [];
        files.push(file);
    }
    return files;
}
/** Makes the volumes and the directories that the parts are put into. `how`: as for their sources. */
async function makeGround(tools, parts, { empty, how }) {
    const { project, saga, run, log } = tools;
    const deps = { ...sourceDeps(tools), ...how };
    const volumes = new Set();
    const parents = [];
    const places = [];
    for (const part of dataParts(parts)) {
        const place = await lookFor(part, deps);
        if ('volume' in place)
            volumes.add(place.volume);
        else {
            places.push(place.path);
            parents.push(external_node_path_default().dirname(place.path));
        }
    }
    const mounted = empty ? await bindsOf(project, places, tools) : [];
    const inProject = (one) => {
        const rest = external_node_path_default().relative(project.directory, one);
        return rest === '' || rest.startsWith('..') ? [] : [rest];
    };
    const wanted = await missingDirectories(project.directory, parents.flatMap(inProject));
    const mayCome = await missingDirectories(project.directory, [...wanted, ...mounted.flatMap(inProject)]);
    if (!empty && volumes.size === 0 && wanted.length === 0)
        return;
    const absolute = mayCome.map((one) => external_node_path_default().join(project.directory, one));
    const made = { run, volumes: [...volumes], directories: absolute, containers: !empty };
    await saga.step('make volumes and directories', { undo: { action: 'ground-away', data: made } }, async () => {
        for (const volume of volumes) {
            log.info(`Volume ${volume}: made`);
            await createVolume(project, volume, run);
        }
        for (const one of wanted) {
            const place = external_node_path_default().join(project.directory, one);
            await project.files.makeDirectory(place, external_node_path_default().dirname(place));
        }
    });
}
/** Bind mounts whose source is not there: Docker makes a directory in its place, and no application finds the file that it wants. */
async function bindsOf({ engine, files }, places, { recorder }) {
    const missing = new Set();
    for (const { name, volumes } of (await engine?.compose.model())?.services ?? []) {
        for (const { type, source } of volumes) {
            if (type !== 'bind' || (await files.exists(source)))
                continue;
            missing.add(source);
            if (!places.some((place) => place === source || place.startsWith(`${source}/`)))
                recorder.warn(`${source}, which ${name} has mounted, is not here, and the backup does not have it.`);
        }
    }
    return [...missing];
}
/** Undo: what only this run has made goes, the containers first. */
async function groundAway({ project, log }, made) {
    const { engine } = project;
    if (!made.containers) {
        if (engine === null)
            await project.stop();
        else if ((await project.containers()).length > 0)
            await engine.compose.down();
    }
    // A container of the version that failed still has a volume that was not there before it.
    const last = (await project.containers()).filter(({ mounts }) => mounts.some(({ volume }) => volume !== undefined && made.volumes.includes(volume)));
    if (engine !== null && last.length > 0) {
        const ids = last.map(({ id }) => id);
        await engine.runtime.stop(ids);
        await engine.runtime.remove(ids);
    }
    for (const volume of made.volumes) {
        if ((await engine?.runtime.removeVolume(volume, { [RUN_LABEL]: made.run })) === false)
            log.warn(`The volume ${volume} is not of this run, and stays.`);
    }
    await removeEmpty('/', made.directories);
}
/** Names of images that stand for nothing: what a restore that fails brings under them goes again. */
async function absentImages(project) {
    const { engine } = project;
    if (engine === null)
        return [];
    const names = [];
    for (const service of (await engine.compose.model()).services) {
        const name = imageNameOf(engine, project.name, service);
        if ((await engine.runtime.imageId(name)) === null)
            names.push(name);
    }
    return [...new Set(names)];
}

;// CONCATENATED MODULE: ./src/modes/restore-images.ts



/**
 * Puts the very images that the backup names under the names that the compose file uses: those that are on this host still (an update protects the last ones), those of a registry
 * by their digest. For what is left: the cache, a build or a pull, as for an update. Nothing that runs is touched.
 */
async function bringImages(tools, settings, manifest) {
    const { project, log, recorder } = tools;
    const { engine } = project;
    if (engine === null)
        return prepareImages(tools, settings);
    const { runtime, compose } = engine;
    const known = [];
    const lacking = [];
    for (const service of (await compose.model()).services) {
        const name = imageNameOf(engine, project.name, service);
        const image = manifest.images.find((one) => one.service === service.name);
        const id = image === undefined ? null : await restore_images_imageOf(tools, runtime, image, name);
        if (id === null)
            lacking.push({ service: service.name, name, builds: service.build, image });
        else
            known.push({ name, id });
    }
    if (lacking.length > 0) {
        const services = lacking.map(({ service }) => service);
        log.info(`To be built, pulled or loaded: ${services.join(', ')}`);
        await prepareImages(tools, settings, services);
    }
    for (const { name, id } of known) {
        // A name by digest stands for this image for ever.
        if (!name.includes('@') && (await runtime.imageId(name)) !== id)
            await runtime.tag(id, name);
    }
    const others = settings.build.kind === 'command' ? [] : lacking.filter(({ image, builds }) => image && !builds);
    if (others.length > 0) {
        const names = others.map(({ service, name }) => `${name} (${service})`).join(', ');
        recorder.warn(`Not the image of the backup, which nothing brings any more, but what has its name now: ${names}`);
    }
}
/** The id of the backup's image on this host, fetched where a registry has it; null where it is to be made otherwise. */
async function restore_images_imageOf({ log }, runtime, image, name) {
    // Of what a manifest says only an id, which stands for this very content, and what the compose file itself would fetch.
    if (/^sha256:[0-9a-f]{64}$/.test(image.id) && (await runtime.imageId(image.id)) !== null)
        return image.id;
    for (const digest of image.digests.filter((one) => isOfRepository(one, name))) {
        try {
            await runtime.pull(digest);
            return await runtime.imageId(digest);
        }
        catch (error) {
            if (!(error instanceof errors/* CaretakerError */.xT && error.code === 'engine-failed'))
                throw error;
            log.info(`${digest} can't be pulled: ${error.message}`);
        }
    }
    return null;
}
/** `docker.io/library/postgres@sha256:…` is of the repository of `postgres:17`. */
function isOfRepository(digest, name) {
    const [repository = '', sum = ''] = digest.split('@');
    return /^sha256:[0-9a-f]{64}$/.test(sum) && restore_images_whole(repository) === restore_images_whole(name.split('@')[0] ?? '');
}
function restore_images_whole(name) {
    const bare = name.replace(/:[^:/]*$/, '');
    const [first = '', ...rest] = bare.split('/');
    const hasHost = rest.length > 0 && /[.:]|^localhost$/.test(first);
    if (!hasHost)
        return `docker.io/${rest.length === 0 ? 'library/' : ''}${bare}`;
    return first === 'index.docker.io' ? `docker.io/${rest.join('/')}` : bare;
}

;// CONCATENATED MODULE: ./src/modes/restore-code.ts






/**
 * Whether code and images come with the data, and to where; null where they stay. On an empty host they always come, as nothing is replaced. Refuses before anything is touched: `restore-version`, `not-a-clone`,
 * `restore-commit-missing`, `dirty-tree`.
 */
async function versionToBring(tools, settings, manifest, parts, { empty }) {
    const { checkout, recorder, log } = tools;
    const head = (await checkout?.head()) ?? null;
    const asIs = !empty || settings.allow.includes('version-mismatch') || head === null;
    if (!settings.withCode && asIs) {
        gateVersion(tools, manifest, parts, head, settings.allow);
        return empty ? { target: null } : null;
    }
    const { commit } = manifest.version;
    if (commit === null) {
        recorder.warn(`${manifest.name} does not say of which commit it is: the code stays as it is, and only the images come with the data.`);
        return { target: null };
    }
    if (checkout === null) {
        throw new errors/* CaretakerError */.xT('not-a-clone', `there is no git clone here in which ${named(manifest.version)} could be checked out`, {
            input: 'source-directory',
            hint: 'Set source-directory to the clone that the images are built from.',
        });
    }
    if (head?.commit === commit)
        return { target: null };
    const target = await targetOf(checkout, manifest);
    if (!settings.withCode)
        log.info(`Nothing runs here yet: ${named(manifest.version)} is checked out, as the data are of it`);
    // Going back is what a restore is for.
    await checkout.gate(target, [...settings.allow, 'downgrade', 'major']);
    return { target };
}
/**
 * Only a commit that the clone or a branch or tag of its remote has: a forge gives out by their number also commits that strangers have pushed to their forks, and the number is
 * the manifest's word alone.
 */
async function targetOf(checkout, manifest) {
    const { commit, tag } = manifest.version;
    const found = async () => {
        if (commit === null || !/^[0-9a-f]{40,64}$/.test(commit))
            return null;
        try {
            const target = await checkout.resolveTarget({ ref: commit });
            return target?.commit === commit ? { ...target, label: tag ?? target.label } : null;
        }
        catch (error) {
            if (error instanceof errors/* CaretakerError */.xT && error.code === 'ref-unknown')
                return null;
            throw error;
        }
    };
    let target = await found();
    if (target === null) {
        await checkout.fetch();
        target = await found();
    }
    if (target !== null)
        return target;
    throw new errors/* CaretakerError */.xT('restore-commit-missing', `the clone ${checkout.directory} and the branches and tags of its remote do not have ${named(manifest.version)}, of which ${manifest.name} is`, {
        input: 'with-code',
        hint: 'Fetch that commit into the clone by hand, or leave with-code out and set allow: version-mismatch to put the data under the code that is there.',
    });
}
/** Code and images, while what is there still serves. What serves must have been noted before. */
async function bringVersion(tools, settings, manifest, { target }) {
    const { project, checkout, recorder, saga, run } = tools;
    if (checkout !== null && target !== null) {
        const code = await checkout.snapshot(target);
        await recorder.step(`Check out ${target.label}`, () => saga.step('check out', { undo: { action: 'code-back', data: code } }, () => checkout.checkout(target, settings.allow)));
    }
    const names = await protectImages(project, run);
    const absent = await absentImages(project);
    if (absent.length > 0)
        await saga.step('note which images are not here', { undo: { action: 'names-away', data: absent } }, () => Promise.resolve());
    await recorder.step('Bring the images of the backup', () => saga.step('images', { undo: { action: 'images-back', data: names } }, () => bringImages(tools, settings, manifest)));
}
/** Up with it. Services that it does not know would come back when the host starts, and write to its data. */
async function upWithVersion(tools) {
    const { project } = tools;
    const { engine } = project;
    if (engine !== null) {
        const known = await project.services();
        const strangers = (await project.containers()).filter(({ service }) => !known.includes(service));
        if (strangers.length > 0) {
            tools.log.info(`Removed, as this version does not have them: ${strangers.map(({ service }) => service).join(', ')}`);
            await engine.runtime.remove(strangers.map(({ id }) => id));
        }
    }
    await bringUp(tools);
}
/** Whoever went back does not want to be brought forward to the same version by the next run that only follows. */
async function leftBehind({ checkout, clock }, head, target) {
    if (checkout === null || head === null || !(await checkout.isAncestor(target.commit, head.commit)))
        return null;
    const label = head.tag ?? head.describe ?? head.commit;
    return { commit: head.commit, label, at: clock.now().toISOString(), why: `${target.label} was restored` };
}
/**
 * Refuses data of another version than the code that is checked out: an older one migrates them, a newer one may not even start on them, and either may be meant.
 * Not asked where one of the two is not known, nor for the project's own files. `restore-version`.
 */
function gateVersion({ log, recorder }, manifest, parts, head, allow) {
    const { version } = manifest;
    if (dataParts(parts).length === 0 || version.commit === head?.commit)
        return;
    if (version.commit === null || head === null) {
        const unknown = head === null ? 'there is no git clone here' : `${manifest.name} does not say of which commit it is`;
        log.info(`Whether the data fit the code can't be told: ${unknown}`);
        return;
    }
    const [ofData, ofCode] = [named(version), named(head)];
    if (allow.includes('version-mismatch')) {
        recorder.warn(`The data of ${ofData} go under the code of ${ofCode}, as allowed.`);
        return;
    }
    throw new errors/* CaretakerError */.xT('restore-version', `${manifest.name} holds the data of ${ofData}, and the code that is checked out is ${ofCode}`, {
        input: 'with-code',
        hint: `Set with-code: true to check out ${ofData} too and bring its images; or add "version-mismatch" to allow to put these data under the code that is there: an application that is newer than its data usually migrates them when it starts.`,
    });
}
/** `v1.2.0 (0123456789ab)`. */
function named({ commit, tag, describe }) {
    const short = (commit ?? '').slice(0, 12);
    const name = tag ?? describe;
    return name === null || short.startsWith(name) ? short : `${name} (${short})`;
}

// EXTERNAL MODULE: external "node:string_decoder"
var external_node_string_decoder_ = __webpack_require__(46193);
;// CONCATENATED MODULE: ./src/sources/postgres-database.ts







const LONGEST_NAME = 63;
const OURS = '_caretaker_';
/** Names that nobody else has, with as much of the database's own as an identifier has room for. */
function databaseNames(live, run, number) {
    const end = `${OURS}${run}-${number}`;
    const room = LONGEST_NAME - end.length - '-old'.length;
    let short = live;
    while (Buffer.byteLength(short) > room)
        short = [...short].slice(0, -1).join('');
    return { live, fresh: short + end, aside: `${short}${end}-old` };
}
const IDENTIFIER = /"(?:[^"]|"")+"|[^\s";,]+/.source;
const CREATE = new RegExp(`^CREATE DATABASE (${IDENTIFIER})( WITH .*)?;$`);
const GRANTEE = new RegExp(`^(?:GRANT|ALTER DEFAULT PRIVILEGES) .* TO (${IDENTIFIER})(?: WITH GRANT OPTION)?;$`);
const GRANTOR = new RegExp(`^(?:SET SESSION AUTHORIZATION|ALTER DEFAULT PRIVILEGES FOR ROLE) (${IDENTIFIER})[ ;]`);
/**
 * Reads what a dump says of its database, by the server's own pg_restore. Throws `postgres-load-failed`, `part-missing`, and `postgres-major` where the server is
 * older than the dump.
 */
async function readDumped(access, part, name, read) {
    const stored = part.postgres?.major ?? 0;
    if (access.facts.major < stored) {
        throw new errors/* CaretakerError */.xT('postgres-major', `failed to restore ${part.name}: it was taken from PostgreSQL ${stored}, and ${access.container.service} runs ${access.facts.major}`, { hint: `Use an image of PostgreSQL ${stored} or newer for ${access.container.service}.` });
    }
    const file = fileOf(part, dumpSuffix(name));
    const script = new ScriptOfDump();
    // Older ones take "-" for a file's name.
    const output = access.facts.major >= 12 ? ['-f', '-'] : [];
    const stream = access.stream(['pg_restore', '--create', '--schema-only', ...output]);
    const decoder = new external_node_string_decoder_.StringDecoder('utf8');
    let rest = '';
    stream.stdout.on('data', (chunk) => {
        const lines = (rest + decoder.write(chunk)).split('\n');
        rest = lines.pop() ?? '';
        lines.forEach((line) => script.line(line));
    });
    let ended = false;
    const over = () => {
        ended = true;
    };
    stream.done.then(over, over);
    const head = async function* () {
        // It needs the table of contents, and leaves the rest unread.
        for await (const chunk of read(file)) {
            if (ended)
                return;
            yield chunk;
        }
    };
    try {
        const printed = (0,external_node_stream_promises_.finished)(stream.stdout, { writable: false });
        printed.catch(() => undefined);
        await feed(stream, head());
        await printed;
    }
    catch (error) {
        if (error instanceof errors/* CaretakerError */.xT && error.code.startsWith('part-'))
            throw error;
        throw loadFailed(name, access, (0,errors/* messageOf */.bD)(error), error);
    }
    script.line(rest);
    if (script.create === undefined)
        throw loadFailed(name, access, 'the dump does not say how to create it');
    return { name, file, ...script.create, properties: script.properties.join('\n'), roles: [...script.roles].sort() };
}
/** Picks out of the script that pg_restore prints what concerns the database itself, and the roles. */
class ScriptOfDump {
    create;
    properties = [];
    roles = new Set();
    #type = '';
    #ofDatabase = false;
    line(line) {
        const [, name, type, owner] = /^-- Name: (.*); Type: (.*); Schema: .*; Owner: ([^;]*)/.exec(line) ?? [];
        if (name !== undefined && type !== undefined && owner !== undefined) {
            this.#type = type;
            const about = name.startsWith('DATABASE ') && ['ACL', 'COMMENT', 'SECURITY LABEL'].includes(type);
            this.#ofDatabase = about || type === 'DATABASE' || type === 'DATABASE PROPERTIES';
            if (owner !== '' && owner !== '-')
                this.roles.add(owner);
            return;
        }
        // What follows sets up the next session.
        if (/^\\(?:connect|restrict|unrestrict) /.test(line))
            this.#ofDatabase = false;
        if (this.#type.endsWith('ACL'))
            for (const pattern of [GRANTEE, GRANTOR])
                this.#role(pattern.exec(line)?.[1]);
        if (!this.#ofDatabase || line === '' || line.startsWith('--'))
            return;
        const [, identifier, options = ''] = (this.#type === 'DATABASE' && CREATE.exec(line)) || [];
        if (identifier === undefined)
            this.properties.push(line);
        else
            this.create = { identifier, options };
    }
    #role(identifier) {
        if (identifier === undefined || ['PUBLIC', 'DEFAULT'].includes(identifier))
            return;
        this.roles.add(identifier.startsWith('"') ? identifier.slice(1, -1).replaceAll('""', '"') : identifier);
    }
}
/** Roles belong to all databases of a server, and to whoever runs it: they are not made by the way. `postgres-role-missing`. */
async function refuseMissingRoles(access, databases) {
    const answer = await sql(access, 'select rolname from pg_roles;');
    const there = new Set(answer.split('\n'));
    const missing = new Set(databases.flatMap(({ roles }) => roles.filter((role) => !there.has(role))));
    if (missing.size > 0)
        throw roleMissing(access, [...missing]);
}
function roleMissing(access, roles, cause) {
    return new errors/* CaretakerError */.xT('postgres-role-missing', `failed to restore a database: the server ${access.container.service} has no role ${roles.join(', ')}`, {
        input: 'only',
        hint: `Create it as you want it, and run again: ${roles.map((role) => `CREATE ROLE ${postgres_database_quoted(role)};`).join(' ')} The globals.sql of the backup has it with its password. Or restore the whole part, roles and all.`,
        cause,
    });
}
/** Makes the database under its fresh name, whole, while the live one serves on. */
async function loadBeside(access, { live, fresh }, dumped, read) {
    try {
        await sql(access, `CREATE DATABASE ${postgres_database_quoted(fresh)}${dumped.options};`, live);
        const { user } = server(access);
        const restore = access.stream(['pg_restore', '-w', '-U', user, '--exit-on-error', '-d', conninfo(fresh)]);
        await feed(restore, read(dumped.file));
        await sql(access, renamed(dumped, fresh), live);
    }
    catch (error) {
        if (error instanceof errors/* CaretakerError */.xT && error.code.startsWith('part-'))
            throw error;
        const words = (0,errors/* messageOf */.bD)(error);
        const role = /role "(.*?)" does not exist/.exec(words)?.[1];
        if (role !== undefined)
            throw roleMissing(access, [role], error);
        throw loadFailed(live, access, words, error);
    }
}
function renamed({ identifier, properties }, name) {
    return [' ', ';'].reduce((text, end) => text.replaceAll(`DATABASE ${identifier}${end}`, () => `DATABASE ${postgres_database_quoted(name)}${end}`), properties);
}
function loadFailed(name, access, why, cause) {
    return new errors/* CaretakerError */.xT('postgres-load-failed', `failed to load database ${name} into ${access.container.service}: ${why}`, { hint: 'The live database was not touched. The server’s words tell what it lacks.', cause });
}
/** Exchanges the live database for the fresh one, in one transaction: it has happened whole or not at all. */
async function swapDatabase(access, { live, fresh, aside }) {
    const there = await databasesOf(access);
    if (there.has(aside) && there.has(live) && !there.has(fresh))
        return;
    await postgres_database_rename(access, live, [...(there.has(live) ? [[live, aside]] : []), [fresh, live]]);
}
/** Puts the database from before back. `existed`: there was one. Nothing to do is no error. */
async function unswapDatabase(access, names) {
    const { live, fresh, aside, existed } = names;
    const there = await databasesOf(access);
    const swapped = existed ? there.has(aside) : there.has(live) && !there.has(fresh);
    if (!swapped)
        return;
    await postgres_database_rename(access, live, [
        ...(there.has(live) ? [[live, fresh]] : []),
        ...(existed ? [[aside, live]] : []),
    ]);
}
/** Only what this program named so. Nothing there is no error. */
async function dropDatabase(access, name) {
    if (!name.includes(OURS)) {
        throw new errors/* CaretakerError */.xT('not-ours', `refused to drop the database ${name}: it is not one of the caretaker's own`);
    }
    await sql(access, `${terminate([name])}\nDROP DATABASE IF EXISTS ${postgres_database_quoted(name)};`);
}
async function databasesOf(access) {
    return new Set((await sql(access, 'select datname from pg_database;')).split('\n'));
}
/** A database that lies aside, as a part that goes back under its own name. */
function asideDatabases(access, { name, origin, writers }, databases) {
    const { user } = server(access);
    const { version, major, locale } = access.facts;
    const live = databases.map((one) => one.live);
    const never = () => {
        throw new TypeError('what lies aside is only captured');
    };
    return {
        ...{ name, kind: 'postgres', method: 'dump', origin, writers, server: undefined, loads: false },
        describe: () => `${name}: ${live.join(', ')} as it was before`,
        estimate: async () => Number(await sql(access, `select coalesce(sum(pg_database_size(datname)), 0) from pg_database where datname in (${literals(databases.map(({ aside }) => aside))});`)),
        capture: () => Promise.resolve({
            streams: databases.map(({ live: database, aside }) => ({
                suffix: dumpSuffix(database),
                open: () => access.stream(['pg_dump', '-w', '-U', user, '-Fc', '-Z0', '-d', conninfo(aside)]),
            })),
            consistency: 'quiesced',
            facts: { postgres: { version, major, databases: live, user, locale } },
            finish: () => Promise.resolve(),
        }),
        stage: never,
        unstage: never,
    };
}
const TRIES = 5;
/** Renames in one transaction, after those who are connected were sent away; who comes back at once is sent away again. */
async function postgres_database_rename(access, live, pairs) {
    const statements = pairs.map(([from, to]) => `ALTER DATABASE ${postgres_database_quoted(from)} RENAME TO ${postgres_database_quoted(to)};`);
    const script = [terminate(pairs.map(([from]) => from)), 'BEGIN;', ...statements, 'COMMIT;'].join('\n');
    for (let tried = 1;; tried++) {
        try {
            await sql(access, script, live);
            return;
        }
        catch (error) {
            if (tried < TRIES && /being accessed by other users/.test((0,errors/* messageOf */.bD)(error)))
                continue;
            throw new errors/* CaretakerError */.xT('postgres-rename', `failed to exchange the database ${live}: ${(0,errors/* messageOf */.bD)(error)}`, {
                hint: 'Something from outside the project holds it open, or the role may not rename it. The database from before is put back.',
                cause: error,
            });
        }
    }
}
function terminate(names) {
    return `select pg_terminate_backend(pid) from pg_stat_activity where datname in (${literals(names)}) and pid <> pg_backend_pid();`;
}
function literals(names) {
    return names.map((name) => `'${name.replaceAll("'", "''")}'`).join(', ');
}
function postgres_database_quoted(name) {
    return `"${name.replaceAll('"', '""')}"`;
}
/** The user stands in the command that the server let in. */
function server({ psql }) {
    return { user: psql[psql.indexOf('-U') + 1] };
}
/** Bare values out. `about`: the database in question, to which there must be no connection. */
async function sql(access, script, about) {
    const elsewhere = about === 'postgres' ? ['-d', 'template1'] : [];
    const { exitCode, stdout, stderr } = await access.run([...access.psql, '-q', ...elsewhere], script);
    if (exitCode === 0)
        return stdout.trim();
    const first = stderr.split('\n').find((line) => /ERROR|FATAL/.test(line));
    throw new errors/* CaretakerError */.xT('postgres-denied', `the server ${access.container.service} refused: ${first ?? lastLine(stderr)}`);
}

;// CONCATENATED MODULE: ./src/modes/restore-database.ts







/**
 * Single databases of dumps go back while their server runs: each is loaded beside the live one, under another name, while the application serves; when nobody writes any more, the
 * two change names in one transaction. Nothing else of the server is touched. What can be refused is refused here, with nothing done.
 */
async function planDatabases(tools, pieces, sources, directory) {
    const planned = [];
    for (const { part, databases } of pieces) {
        const source = sources.get(part.name);
        if (databases.length === 0 || source?.server === undefined)
            continue;
        const server = { service: source.server, user: part.postgres?.user ?? 'postgres' };
        if ((await serverContainer(tools.project, server.service))?.state !== 'running') {
            throw new errors/* CaretakerError */.xT('postgres-not-running', `failed to restore ${databases.join(', ')}: the database server ${server.service} does not run, and a single database goes into a running one`, { input: 'only', hint: `Start ${server.service}, or restore the whole part: only: ${part.name}.` });
        }
        const access = await openServer(tools.project, tools.log, server);
        const here = [];
        for (const database of databases) {
            const names = databaseNames(database, tools.run, planned.length + here.length + 1);
            const dumped = await readDumped(access, part, database, partReader(directory));
            here.push({ part, ...server, names, source, dumped });
        }
        await refuseMissingRoles(access, here.map(({ dumped }) => dumped));
        planned.push(...here);
    }
    return planned;
}
/** Loads them beside the live ones; answers with what is left to do when the writers stand still. */
async function stageDatabases(tools, planned, directory) {
    const { project, recorder, saga } = tools;
    for (const { service, user, names, dumped } of planned) {
        const undo = { action: 'drop-db', data: { service, user, database: names.fresh } };
        await recorder.step(`Load ${names.live} beside the live database`, () => saga.step(`load ${names.fresh}`, { undo }, async () => loadBeside(await openServer(project, tools.log, { service, user }), names, dumped, partReader(directory))));
    }
    if (planned.length === 0)
        return undefined;
    const servers = new Set(planned.map(({ service }) => service));
    return {
        // Whoever writes to another server may write to this one: from outside it can't be seen. The server itself runs on.
        writers: [...new Set(planned.flatMap(({ source }) => source.writers))].filter((service) => !servers.has(service)),
        async exchange() {
            for (const { service, user, names } of planned) {
                const access = await reach(tools, { service, user });
                const existed = (await databasesOf(access)).has(names.live);
                const undo = { action: 'unswap-db', data: { service, user, names, existed } };
                tools.log.info(`${names.live}: the backup's database in, the one from before aside as ${names.aside}`);
                await saga.step(`swap ${names.live}`, { undo }, () => swapDatabase(access, names));
            }
        },
    };
}
/** For the journal's undo: also where the server was stopped meanwhile, or the host. */
async function undoDrop(tools, data) {
    await dropDatabase(await reach(tools, data), data.database);
}
async function undoSwap(tools, data) {
    await unswapDatabase(await reach(tools, data), { ...data.names, existed: data.existed });
}
/** Plain data of what lies aside, for the journal. */
function asideOf(planned) {
    return planned.map(({ part, service, user, names }) => ({ part, service, user, names }));
}
/** What lies aside in the servers, as sources of a safety backup, by part; `drop` removes it. */
async function databasesAside(tools, exchanged) {
    const sources = [];
    const drops = [];
    const byPart = Map.groupBy(exchanged, ({ part }) => part.name);
    for (const [first, ...others] of byPart.values()) {
        if (first === undefined)
            continue;
        const access = await reach(tools, first);
        const there = await databasesOf(access);
        const names = [first, ...others].map((one) => one.names).filter(({ aside }) => there.has(aside));
        if (names.length === 0)
            continue;
        sources.push(asideDatabases(access, await sourceForPart(first.part, sourceDeps(tools)), names));
        drops.push(...names.map(({ aside }) => () => dropDatabase(access, aside)));
    }
    return {
        sources,
        async drop() {
            for (const drop of drops)
                await drop();
        },
    };
}
async function reach(tools, server) {
    const { project, log } = tools;
    if ((await serverContainer(project, server.service))?.state !== 'running')
        await startProject(tools, [server.service]);
    await waitReady(server, tools);
    return openServer(project, log, server);
}

;// CONCATENATED MODULE: ./src/modes/restore.ts

















/**
 * restore: choose → on an empty host, its compose files → confirm → fetch all and verify → code and images of the backup, where they are wanted → unpack beside the live data → stop → swap by renames → start → health → commit →
 * keep what was there as a safety backup. Everything slow comes before the stop or after the start. The data from before lie aside
 * untouched until the health check has passed, and become the safety backup only then: it holds the very last state, down to the stop.
 */
async function restore(opened, settings, openFolder, host) {
    const { tools, chosen } = await chooseAndOpen(opened, settings, openFolder, host);
    const { project, recorder, saga, run } = tools;
    const { manifest } = chosen;
    const directory = external_node_path_default().join(project.stateDirectory, 'staging', `${run}-fetched`);
    const pieces = choosePieces(manifest, settings.only);
    const parts = pieces.map(({ part }) => part);
    const names = pieces.flatMap(pieces_namesOf);
    recorder.sections = { restore: { backup: manifest.name, parts: names } };
    const head = (await tools.checkout?.head()) ?? null;
    const moves = manifest.version.commit !== (head?.commit ?? null);
    const { empty, places } = await lookAtGround(tools, manifest.parts, { needed: moves ? [] : parts });
    const single = pieces.find(({ databases }) => databases.length > 0);
    if (empty && single !== undefined) {
        throw new errors/* CaretakerError */.xT('postgres-not-running', `there is no server of ${single.part.name} on this host yet to restore single databases into`, { input: 'only', hint: 'Restore all of a backup first, which brings the server up.' });
    }
    restore_confirm(tools, settings, manifest, empty);
    const version = await versionToBring(tools, settings, manifest, parts, { empty });
    if (version !== null && !empty && settings.only.length > 0) {
        throw new errors/* CaretakerError */.xT('settings-conflict', `the code of ${manifest.name} belongs to all of its data, and only ${names.join(', ')} would go back`, {
            input: 'with-code',
            hint: 'Restore all of it with its code; or a part without, by "version-mismatch" in allow, or into another place by to.',
        });
    }
    const images = await imagesNow(tools);
    refusePlatform(manifest, parts, (await project.engine?.runtime.platform()) ?? `${process.platform}/${process.arch}`);
    await checkRooms(await roomsFor(tools, pieces, places));
    // What of it can't be restored is told before anything is stopped.
    const bind = async (how) => {
        await makeGround(tools, parts, { empty, how });
        const sources = await sourcesFor(tools, pieces, how);
        const live = await bindPaths(tools, pieces, sources, directory);
        return { live, planned: await planDatabases(tools, pieces, sources, directory) };
    };
    try {
        await recorder.step(`Fetch and verify ${manifest.name}`, () => fetchParts(tools, chosen, parts, directory));
        let bound;
        let serving;
        if (version === null) {
            bound = await bind({});
            serving = await noteWhatIsStopped(tools);
        }
        else {
            serving = await noteWhatServes(tools, settings);
            await bringVersion(tools, settings, manifest, version);
            bound = await bind({ anew: true });
        }
        const { live, planned } = bound;
        const databases = await stageDatabases(tools, planned, directory);
        const aside = await exchangeData(tools, settings, {
            ...{ parts: parts.filter(({ name }) => live.has(name)), sources: live, databases, directory, run },
            ...(version === null
                ? { start: (services) => startProject(tools, serving.length > 0 ? services : undefined) }
                : { anew: true, start: () => upWithVersion(tools) }),
        });
        const { keepLocal, keepLocalDays } = settings;
        const keep = { parts: aside, databases: asideOf(planned), run, reason: 'before-restore', head, images };
        const versions = version === null ? {} : { keepVersions: PROTECTED_VERSIONS };
        const left = version?.target && !empty ? await leftBehind(tools, head, version.target) : null;
        await saga.commit([
            { action: 'keep-aside', data: keep },
            ...(version?.target ? [{ action: 'forget-update', data: left }] : []),
            { action: 'tidy', data: { keepLocal, keepLocalDays, ...versions } },
        ]);
        return { chosen, parts: names };
    }
    finally {
        await (0,promises_.rm)(directory, { recursive: true, force: true });
    }
}
/** Where each part goes. */
async function sourcesFor(tools, pieces, how) {
    const sources = new Map();
    for (const { part, paths } of pieces)
        sources.set(part.name, await sourceForPart(part, { ...sourceDeps(tools), ...how }, paths));
    return sources;
}
async function noteWhatIsStopped({ project, saga }) {
    const services = await runningServices(project);
    const known = await knownServices(project);
    await saga.step('note what serves', { undo: serveAgain({ services, by: 'start', known }) }, () => Promise.resolve());
    return services;
}
/** Nothing is asked where nothing is lost. */
function restore_confirm({ project, recorder, log }, settings, manifest, empty) {
    const typed = settings.confirm;
    if (typed !== project.name && !(empty && typed === '')) {
        throw new errors/* CaretakerError */.xT(typed === '' ? 'confirm-missing' : 'not-confirmed', `restoring ${manifest.name} replaces the live data of ${project.name}, and confirm does not say so`, {
            input: 'confirm',
            hint: `Set confirm to the project's name: ${project.name}`,
        });
    }
    if (empty)
        log.info(`There is nothing of ${project.name} on this host yet: the backup brings all of it up`);
    if (manifest.project !== project.name) {
        recorder.warn(`The backup was made of ${manifest.project} on ${manifest.host}, and goes into ${project.name}.`);
    }
}
/** What is fetched, and each part beside its live data. */
async function roomsFor({ project }, pieces, places) {
    const parts = pieces.map(({ part }) => part);
    const fetched = { directory: project.stateDirectory, bytes: sizeOf(parts, 'bytes'), what: 'the files of the backup' };
    // How much lies at a path is known when its part is here.
    const whole = pieces.filter(({ paths }) => paths.length === 0);
    const unpacked = whole.map(async ({ part }) => {
        const directory = await roomBeside(places.get(part.name), project.directory);
        return { directory, bytes: sizeOf([part], 'rawBytes'), what: `${part.name}, unpacked` };
    });
    return [fetched, ...(await Promise.all(unpacked))];
}
/** Where this user may not look (another's volume), it is reckoned to be on the project's filesystem. */
async function roomBeside(place, otherwise) {
    const beside = external_node_path_default().dirname(place ?? otherwise);
    return freeBytes(beside).then(() => beside, () => otherwise);
}
/** The sources of what is unpacked beside the live data, those of single paths bound to them. `path-unknown`, `disk-full`. */
async function bindPaths({ project }, pieces, sources, directory) {
    const bound = new Map();
    for (const { part, paths, databases } of pieces) {
        const source = sources.get(part.name);
        if (databases.length > 0)
            continue;
        bound.set(part.name, source);
        if (paths.length === 0)
            continue;
        const found = await findPaths(part, partReader(directory), paths);
        const room = await roomBeside(source.origin.path, project.directory);
        await checkRooms([{ directory: room, bytes: found.bytes, what: `${paths.join(', ')} of ${part.name}, unpacked` }]);
        bound.set(part.name, {
            ...source,
            stage: (one, read, run) => source.stagePaths?.(one, read, run, found) ?? source.stage(one, read, run),
        });
    }
    return bound;
}
/** Bytes of these parts, as stored or unpacked. */
function sizeOf(parts, which) {
    return parts.flatMap(({ files }) => files).reduce((sum, file) => sum + file[which], 0);
}
/** The files of a PostgreSQL cluster fit the processor architecture that wrote them. https://www.postgresql.org/docs/current/backup-file.html */
function refusePlatform(manifest, parts, platform) {
    const tied = parts.filter(({ kind, method }) => kind === 'postgres' && method !== 'dump');
    if (tied.length === 0 || manifest.platform === platform)
        return;
    throw new errors/* CaretakerError */.xT('restore-platform', `${tied.map(({ name }) => name).join(', ')} of ${manifest.name} are files of a PostgreSQL server on ${manifest.platform}, and this is ${platform}`, {
        input: 'backup',
        hint: 'A server here can not read them. Choose a backup with method=dump, or restore on a machine of that kind and take a dump there.',
    });
}

// EXTERNAL MODULE: external "node:child_process"
var external_node_child_process_ = __webpack_require__(31421);
// EXTERNAL MODULE: external "node:readline"
var external_node_readline_ = __webpack_require__(80481);
;// CONCATENATED MODULE: ./src/system/trees.ts











/** What this product puts beside data carries this in its name; it is never data. */
const trees_OURS = '.caretaker';
const SQLITE_MAGIC = Buffer.from('SQLite format 3\0', 'latin1');
/**
 * Walks a tree without following links and without what is ours. What vanishes meanwhile does not count. Throws `host-files-denied`
 * where something may not be read.
 */
async function scanTree(root) {
    const real = await realpathOrNull(root);
    const stat = real === null ? null : await lstatOrNull(real);
    if (real === null || stat === null) {
        return {
            ...{ root, kind: 'missing', files: 0, bytes: 0, sqliteFiles: [], postgresDirectories: [], caches: [] },
            ...{ uid: 0, gid: 0, mode: 0 },
        };
    }
    const found = {
        ...{ files: 0, bytes: 0 },
        ...{ sqliteFiles: [], postgresDirectories: [], caches: [] },
    };
    const linked = new Set();
    const visitFile = async (file, fileStat, inPostgres) => {
        found.files++;
        // A file with several names holds its bytes once.
        const inode = `${fileStat.dev}:${fileStat.ino}`;
        if (fileStat.nlink === 1 || !linked.has(inode))
            found.bytes += fileStat.blocks * 512;
        if (fileStat.nlink > 1)
            linked.add(inode);
        // 512 is SQLite's smallest page. No file of a PostgreSQL cluster is a SQLite database, and there are many.
        if (!inPostgres && fileStat.size >= 512 && (await isSqlite(file))) {
            found.sqliteFiles.push(path.relative(real, file) || '.');
        }
    };
    const visitDirectory = async (directory, directoryStat, within) => {
        found.bytes += directoryStat.blocks * 512;
        const names = await listOrEmpty(directory);
        const isCluster = !within &&
            names.includes('PG_VERSION') &&
            (await lstatOrNull(path.join(directory, 'global/pg_control'))) !== null;
        if (isCluster)
            found.postgresDirectories.push(path.relative(real, directory) || '.');
        const name = path.relative(real, directory);
        const isCache = names.includes('CACHEDIR.TAG') || name === '__pycache__';
        if (isCache && path.dirname(directory) === real)
            found.caches.push(name);
        for (const entry of names) {
            if (entry.includes(trees_OURS))
                continue;
            const member = path.join(directory, entry);
            const memberStat = await lstatOrNull(member);
            if (memberStat?.isDirectory())
                await visitDirectory(member, memberStat, within || isCluster);
            else if (memberStat?.isFile())
                await visitFile(member, memberStat, within || isCluster);
        }
    };
    if (stat.isDirectory())
        await visitDirectory(real, stat, false);
    else if (stat.isFile())
        await visitFile(real, stat, false);
    found.sqliteFiles.sort();
    found.postgresDirectories.sort();
    found.caches.sort();
    const kind = stat.isDirectory() ? 'directory' : stat.isFile() ? 'file' : stat.isSocket() ? 'socket' : 'other';
    return { root: real, kind, ...found, uid: stat.uid, gid: stat.gid, mode: stat.mode & 0o7777 };
}
/**
 * A digest over what lies in these trees (or single files, or nothing): for files and links name, inode, size, owner, mode, links, times of
 * modification and change in nanoseconds; for directories no times, which move with what is left out. What is ours does not count. Throws `host-files-denied` where something may not be read.
 */
async function fingerprintTrees(roots, { exclude, settle, contents }) {
    const hash = createHash('sha256');
    for (const [index, root] of roots.entries()) {
        if (settle)
            await writeBack(root);
        let missing = true;
        for await (const { name, state } of entriesOf(root, exclude, contents)) {
            missing = false;
            hash.update(`${JSON.stringify([index, name, state])}\n`);
        }
        if (missing)
            hash.update(`${JSON.stringify([index, 'missing'])}\n`);
    }
    return hash.digest('hex');
}
/** The root and all below it, without what is ours: parents before children, siblings by the bytes of their names. Nothing where there is nothing. */
async function* entriesOf(root, exclude, contents) {
    const left = new Set(exclude);
    const entry = (name, stat) => {
        const { ino, mode, uid, gid, size, nlink, mtimeNs, ctimeNs } = stat;
        const isDirectory = stat.isDirectory();
        const written = isDirectory ? [] : [size, mtimeNs];
        const changed = contents ? [] : [mode, uid, gid, ...(isDirectory ? [] : [nlink, ctimeNs])];
        const type = isDirectory ? 'directory' : stat.isFile() ? 'file' : stat.isSymbolicLink() ? 'link' : 'other';
        return { name, type, state: [ino, ...written, ...changed].map(String).join(' ') };
    };
    async function* below(directory, name, plain) {
        for (const member of (await rawNames(directory)).sort((one, other) => one.compare(other))) {
            const memberPlain = plain === '' ? member.toString() : `${plain}/${member.toString()}`;
            if (member.includes(trees_OURS) || left.has(memberPlain))
                continue;
            const place = inside(directory, member);
            const stat = await bigStatOrNull(place);
            if (stat === null)
                continue;
            const memberName = name === '' ? member.toString('latin1') : `${name}/${member.toString('latin1')}`;
            yield entry(memberName, stat);
            if (stat.isDirectory())
                yield* below(place, memberName, memberPlain);
        }
    }
    const real = await realpathOrNull(root);
    const stat = real === null ? null : await bigStatOrNull(real);
    if (real === null || stat === null)
        return;
    yield entry('', stat);
    if (stat.isDirectory())
        yield* below(Buffer.from(real), '', '');
}
/** Writes back what mapped memory holds, which moves times. Of the filesystem: a journal that is there now may be gone at once. */
async function writeBack(root) {
    const real = await realpathOrNull(root);
    const stat = real === null ? null : await lstatOrNull(real);
    if (real === null || stat === null)
        return;
    await promisify(execFile)('sync', ['--file-system', '--', stat.isDirectory() ? real : path.dirname(real)]);
}
/** Names in an answer: more is no small change, and an answer that is passed through a pipe must end. */
const MAX_CHANGE_BYTES = (/* unused pure expression or super */ null && (512 * 1024));
/**
 * What changed in a directory since `note` was written by the last call, and writes it anew. Null where that can't be told: the first time, where the root is another one, where there is
 * too much of it. `settle` as for a fingerprint. Throws `host-files-denied`, `disk-full`.
 */
async function treeChanges(root, { exclude, note, settle }) {
    if (settle)
        await writeBack(root);
    const next = `${note}.next`;
    const before = await notedEntries(note);
    let changes = before === null || (await realpathOrNull(root)) === null ? null : new Changes();
    const out = createWriteStream(next, { mode: 0o600, flags: 'w' });
    const written = finished(out);
    written.catch(() => undefined);
    try {
        let then = await before?.next();
        for await (const entry of entriesOf(root, exclude, false)) {
            if (!out.write(`${JSON.stringify([entry.name, entry.type, entry.state])}\n`))
                await once(out, 'drain');
            if (changes === null)
                continue;
            while (then?.done === false && byPlace(then.value.name, entry.name) < 0) {
                changes.went(then.value);
                then = await before?.next();
            }
            const same = then?.done === false && then.value.name === entry.name ? then.value : null;
            if (same !== null)
                then = await before?.next();
            if (same === null)
                changes.came(entry);
            else if (same.type !== entry.type)
                changes.became(entry);
            else if (same.state !== entry.state)
                changes.wrote(entry);
            // Another root, or more than a small change.
            if ((entry.name === '' && same?.state.split(' ')[0] !== entry.state.split(' ')[0]) || changes.tooMany)
                changes = null;
        }
        while (changes !== null && then?.done === false) {
            changes.went(then.value);
            then = await before?.next();
            if (changes.tooMany)
                changes = null;
        }
        out.end();
        await written;
        await rename(next, note);
    }
    catch (error) {
        out.destroy();
        throw fileError(`note what is in ${root}`, error);
    }
    finally {
        await before?.return(undefined);
    }
    return changes?.result() ?? null;
}
class Changes {
    #changed = new Set();
    #removed = [];
    #bytes = 0;
    came({ name }) {
        this.#add(name);
        this.#addParent(name);
    }
    wrote({ name }) {
        this.#add(name);
        // Unpacking a file moves the times of its directory.
        this.#addParent(name);
    }
    became(entry) {
        this.#remove(entry.name);
        this.came(entry);
    }
    went({ name }) {
        // Below what has gone nothing is left whose times had to be given back.
        if (this.#remove(name))
            this.#addParent(name);
    }
    get tooMany() {
        return this.#bytes > MAX_CHANGE_BYTES;
    }
    result() {
        return { changed: [...this.#changed].sort(byPlace), removed: this.#removed };
    }
    #add(name) {
        if (this.#changed.has(name))
            return;
        this.#changed.add(name);
        this.#bytes += name.length;
    }
    #remove(name) {
        const last = this.#removed.at(-1);
        // They come in the order of the walk: what lies below something comes right after it.
        if (last !== undefined && name.startsWith(`${last}/`))
            return false;
        this.#removed.push(name);
        this.#bytes += name.length;
        return true;
    }
    #addParent(name) {
        if (name === '')
            return;
        const slash = name.lastIndexOf('/');
        this.#add(slash === -1 ? '' : name.slice(0, slash));
    }
}
/** The order of the walk: of their components, since `a.b` comes before `a/b` by its bytes and after it by its place. */
function byPlace(one, other) {
    const [ones, others] = [one, other].map((name) => (name === '' ? [] : name.split('/')));
    for (let at = 0; at < Math.max(ones.length, others.length); at++) {
        const [a, b] = [ones[at], others[at]];
        if (a === b)
            continue;
        if (a === undefined)
            return -1;
        if (b === undefined)
            return 1;
        return a < b ? -1 : 1;
    }
    return 0;
}
/** What `treeChanges` wrote down; null where it has not. */
async function notedEntries(note) {
    if ((await lstatOrNull(note)) === null)
        return null;
    return (async function* () {
        const input = createReadStream(note);
        try {
            for await (const line of createInterface({ input })) {
                const [name, type, state] = JSON.parse(line);
                yield { name, type, state };
            }
        }
        finally {
            input.destroy();
        }
    })();
}
/**
 * Removes what lies at these names (as in `TreeChanges`) in a directory, whole trees too, never through a link. What is not there is no error. Throws `part-hostile`, before it removes
 * any, where a name leads elsewhere.
 */
async function removeMembers(root, names) {
    const hostile = (name, why) => new CaretakerError('part-hostile', `refused to remove "${name}" in ${root}: it ${why}`, {
        hint: 'Nobody wrote this by accident: find out where the backup comes from.',
    });
    for (const name of names) {
        const parts = name.split('/');
        if (parts.some((part) => ['', '.', '..'].includes(part)) || name.includes('\0'))
            throw hostile(name, 'is no path below it');
        let directory = Buffer.from(root);
        for (const part of parts.slice(0, -1)) {
            directory = inside(directory, Buffer.from(part, 'latin1'));
            const stat = await bigStatOrNull(directory);
            if (stat !== null && !stat.isDirectory())
                throw hostile(name, 'goes through something that is no directory');
        }
    }
    for (const name of names) {
        const place = inside(Buffer.from(root), Buffer.from(name, 'latin1'));
        try {
            const stat = await bigStatOrNull(place);
            if (stat === null)
                continue;
            if (stat.isDirectory()) {
                await emptyBelow(place, [], stat.dev);
                await rmdir(place);
            }
            else
                await unlink(place);
        }
        catch (error) {
            throw fileError(`remove ${place.toString()}`, error);
        }
    }
}
/** As they are on disk: a name need not be UTF-8, and one that was decoded wrong leads nowhere. */
async function rawNames(directory) {
    try {
        return await readdir(directory, { encoding: 'buffer' });
    }
    catch (error) {
        if (isAbsent(error))
            return [];
        throw fileError(`list ${directory.toString()}`, error);
    }
}
function inside(directory, name) {
    return Buffer.concat([directory, Buffer.from(path.sep), name]);
}
async function bigStatOrNull(file) {
    try {
        return await lstat(file, { bigint: true });
    }
    catch (error) {
        if (isAbsent(error))
            return null;
        throw fileError(`look at ${file.toString()}`, error);
    }
}
async function isSqlite(file) {
    try {
        // NOFOLLOW, NONBLOCK: it may have become a link or a pipe since it was looked at.
        const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
        try {
            const head = Buffer.alloc(SQLITE_MAGIC.length);
            await handle.read(head, 0, head.length, 0);
            return head.equals(SQLITE_MAGIC);
        }
        finally {
            await handle.close();
        }
    }
    catch (error) {
        if (['ENOENT', 'ELOOP', 'ENXIO'].includes(error.code ?? ''))
            return false;
        throw fileError(`read ${file}`, error);
    }
}
async function listOrEmpty(directory) {
    try {
        const names = [];
        for await (const entry of await opendir(directory))
            names.push(entry.name);
        return names;
    }
    catch (error) {
        if (error.code === 'ENOENT')
            return [];
        throw fileError(`list ${directory}`, error);
    }
}
/** What is ours beside these trees and files, and directly in them, as far as this process may look. */
async function oursAt(roots) {
    const places = new Set(roots.flatMap((root) => [path.dirname(root), root]));
    const found = [];
    for (const place of places) {
        const names = await readdir(place).catch((error) => {
            if (['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM'].includes(error.code ?? ''))
                return [];
            throw fileError(`list ${place}`, error);
        });
        found.push(...names.filter((name) => name.includes(`${trees_OURS}-`)).map((name) => path.join(place, name)));
    }
    return found.sort();
}
/** Null where nothing has that name; a link is what it is. */
async function lstatOrNull(file) {
    try {
        return await (0,promises_.lstat)(file);
    }
    catch (error) {
        if (isAbsent(error))
            return null;
        throw (0,system_files/* fileError */.zS)(`look at ${file}`, error);
    }
}
/** What lies at paths below `root` ('' for itself), links not followed; null for nothing. */
async function kindsIn(root, paths) {
    const kinds = [];
    for (const one of paths) {
        const stat = await lstatOrNull(path.join(root, one));
        const known = stat?.isDirectory()
            ? 'directory'
            : stat?.isFile()
                ? 'file'
                : stat?.isSymbolicLink()
                    ? 'link'
                    : 'other';
        kinds.push(stat === null ? null : known);
    }
    return kinds;
}
async function realpathOrNull(file) {
    try {
        return await realpath(file);
    }
    catch (error) {
        if (isAbsent(error))
            return null;
        throw fileError(`look at ${file}`, error);
    }
}
function isAbsent(error) {
    return ['ENOENT', 'ENOTDIR'].includes(error.code ?? '');
}
/**
 * Removes whole trees, never following links. Nothing there is no error. Refuses all, before it removes any, when one has no
 * `.caretaker` in its real path: `not-ours`.
 */
async function removeTrees(paths) {
    const targets = [];
    for (const given of paths) {
        const normal = path.resolve(given);
        // A link on the way may lead anywhere: what counts is where the last component really is.
        const parent = await realpathOrNull(path.dirname(normal));
        const target = path.join(parent ?? path.dirname(normal), path.basename(normal));
        if (!path.isAbsolute(given) ||
            !normal.includes(trees_OURS) ||
            !target.split(path.sep).some((part) => part.includes(trees_OURS))) {
            throw new CaretakerError('not-ours', `refused to remove ${given}: it is not one of the caretaker's own files`);
        }
        if (parent !== null)
            targets.push(target);
    }
    for (const target of targets) {
        try {
            await rm(target, { recursive: true, force: true });
            await syncDirectory(path.dirname(target));
        }
        catch (error) {
            throw fileError(`remove ${target}`, error);
        }
    }
}
/** Removes what this user has unpacked, directories included that he may not write in as they were stored. */
async function removeOwnTree(root) {
    const open = async (directory) => {
        await (0,promises_.chmod)(directory, 0o700);
        for (const entry of await (0,promises_.readdir)(directory, { withFileTypes: true }))
            if (entry.isDirectory())
                await open(external_node_path_default().join(directory, entry.name));
    };
    if ((await lstatOrNull(root))?.isDirectory())
        await open(root);
    await (0,promises_.rm)(root, { recursive: true, force: true });
}
/** Removes what is in a directory, but for `keep` (relative paths, with all below), the caretaker's own files and other filesystems. */
async function emptyTree(root, keep) {
    try {
        const top = await lstatOrNull(root);
        if (top?.isDirectory() === true)
            await emptyBelow(Buffer.from(root), keep, BigInt(top.dev));
    }
    catch (error) {
        throw fileError(`empty ${root}`, error);
    }
}
async function emptyBelow(directory, keep, device) {
    for (const entry of await rawNames(directory)) {
        const name = entry.toString();
        if (entry.includes(trees_OURS) || keep.includes(name))
            continue;
        const place = inside(directory, entry);
        const stats = await bigStatOrNull(place);
        if (stats === null || stats.dev !== device)
            continue;
        if (stats.isDirectory()) {
            const inside = keep.flatMap((one) => (one.startsWith(`${name}/`) ? [one.slice(name.length + 1)] : []));
            await emptyBelow(place, inside, device);
            // Something that stays may be in it.
            if ((await rawNames(place)).length === 0)
                await rmdir(place);
        }
        else {
            await unlink(place);
        }
    }
    await syncDirectory(directory);
}
/** A new directory with owner, group and mode of `like`. Its parent must be there, itself not. */
async function makeDirectoryLike(directory, like) {
    try {
        await mkdir(directory, { mode: 0o700 });
        await likeness(directory, like);
        await syncDirectory(path.dirname(directory));
    }
    catch (error) {
        throw fileError(`make the directory ${directory}`, error);
    }
}
/** Owner, group and mode of `like` for `target` itself. */
async function likeness(target, like) {
    try {
        const model = await lstat(like);
        const now = await lstat(target);
        // Only when needed: who is not root may not even give a file to himself everywhere.
        const isAnothers = now.uid !== model.uid || now.gid !== model.gid;
        if (isAnothers)
            await lchown(target, model.uid, model.gid);
        // After the owner: a change of owner takes setuid and setgid bits away. A mount point may be root's, and writable for us.
        if (!now.isSymbolicLink() && (isAnothers || now.mode !== model.mode))
            await chmod(target, model.mode & 0o7777);
    }
    catch (error) {
        throw fileError(`give ${target} the owner and mode of ${like}`, error);
    }
}

;// CONCATENATED MODULE: ./src/modes/restore-elsewhere.ts
















/**
 * restore with `to`: choose → look at the place → fetch all → unpack each part, verified on the way, into a directory of its own. Nothing of the live application is
 * touched, so that there is nothing to confirm, to lock, to journal or to undo: a failure removes what was made.
 */
async function restoreElsewhere(tools, settings, openFolder) {
    const { recorder, log } = tools;
    const chosen = await recorder.step('Choose the backup', () => chooseBackup(tools, settings.backup, openFolder, { anywhere: tools.project.bare === true }));
    const { manifest } = chosen;
    const pieces = choosePieces(manifest, settings.only, 'elsewhere');
    const parts = pieces.map(({ part }) => part);
    const names = pieces.flatMap(pieces_namesOf);
    recorder.sections = { restore: { backup: manifest.name, parts: names, to: settings.to } };
    const to = await realPlace(settings.to);
    await refusePlace(tools, manifest, to);
    const whole = pieces.filter(({ paths }) => paths.length === 0).map(({ part }) => part);
    await checkRooms([
        { directory: to, bytes: sizeOf(parts, 'bytes'), what: 'the files of the backup' },
        { directory: to, bytes: sizeOf(whole, 'rawBytes'), what: 'the same, unpacked' },
    ]);
    const undo = await makePlace(to);
    const fetched = external_node_path_default().join(to, `.caretaker-fetched-${tools.run}`);
    try {
        await recorder.step(`Fetch ${manifest.name}`, () => fetchParts(tools, chosen, parts, fetched, { walk: false }));
        for (const piece of pieces) {
            await recorder.step(`Unpack and verify ${pieces_namesOf(piece).join(', ')}`, async () => {
                tools.signal.throwIfAborted();
                await unpackPiece(tools, piece, to, fetched);
                for (const line of usage(piece, external_node_path_default().join(to, piece.part.name)))
                    log.info(line);
            });
        }
        await (0,promises_.rm)(fetched, { recursive: true });
    }
    catch (error) {
        await undo().catch((left) => log.warn(`What was made in ${to} is not all removed: ${(0,errors/* messageOf */.bD)(left)}`));
        throw error;
    }
    log.info(`Restored into ${to}; the live application was not touched`);
    return { chosen, parts: names };
}
/** The place by its real path, as far as it is there. */
async function realPlace(to) {
    for (let up = to, rest = '';; rest = external_node_path_default().join(external_node_path_default().basename(up), rest), up = external_node_path_default().dirname(up)) {
        try {
            return external_node_path_default().join(await (0,promises_.realpath)(up), rest);
        }
        catch (error) {
            if (error.code !== 'ENOENT' || up === '/')
                throw unusable(to, (0,errors/* messageOf */.bD)(error), error);
        }
    }
}
/** It must be new, and lie in no data that live: they would carry it along, and the application would see it. */
async function refusePlace({ project, log }, manifest, to) {
    const entries = await (0,promises_.readdir)(to).catch((error) => {
        if (error.code === 'ENOENT')
            return [];
        throw unusable(to, error.code === 'ENOTDIR' ? 'it is a file' : error.message, error);
    });
    if (entries.length > 0)
        throw unusable(to, 'it is there already, and not empty');
    const data = manifest.parts.filter(({ kind }) => kind !== 'project-files' && kind !== 'sqlite' && kind !== 'file');
    const origins = data.flatMap(({ origin }) => [
        origin.path,
        ...(origin.relativePath === undefined ? [] : [external_node_path_default().join(project.directory, origin.relativePath)]),
    ]);
    const mounted = await mountsOf(project).catch((error) => {
        log.warn(`Whether ${to} lies in what a service mounts can't be told: ${(0,errors/* messageOf */.bD)(error)}`);
        return [];
    });
    const mounts = mounted.flatMap(({ source, writable }) => (writable && source !== undefined ? [source] : []));
    for (const live of [...origins, ...mounts, project.stateDirectory]) {
        const real = await (0,promises_.realpath)(live).catch(() => live);
        if (within(real, to) !== undefined)
            throw unusable(to, `it lies in ${live}, which is in use`);
    }
}
function unusable(to, why, cause) {
    return new errors/* CaretakerError */.xT('to-unusable', `failed to restore into ${to}: ${why}`, {
        input: 'to',
        hint: 'Give a directory that is not there yet, or an empty one, outside of the application’s data.',
        cause,
    });
}
/** Makes the directory; answers with what removes all that was made there. */
async function makePlace(to) {
    try {
        const first = await (0,promises_.mkdir)(to, { recursive: true, mode: 0o700 });
        return async () => {
            if (first !== undefined)
                return removeOwnTree(first);
            for (const name of await (0,promises_.readdir)(to))
                await removeOwnTree(external_node_path_default().join(to, name));
        };
    }
    catch (error) {
        throw unusable(to, (0,errors/* messageOf */.bD)(error), error);
    }
}
async function unpackPiece(tools, { part, paths }, to, fetched) {
    const read = partReader(fetched);
    const directory = external_node_path_default().join(to, part.name);
    if (part.method === 'dump') {
        await (0,promises_.mkdir)(directory, { mode: 0o700 });
        for (const file of part.files) {
            const name = file.file.slice(file.file.indexOf(`.${part.name}.`) + part.name.length + 2, -'.zst'.length);
            await (0,external_node_stream_promises_.pipeline)(read(file), (0,external_node_fs_.createWriteStream)(external_node_path_default().join(directory, name), { flags: 'wx', mode: 0o600 }));
        }
        return;
    }
    const single = part.kind === 'file' || part.kind === 'sqlite';
    if (single)
        await (0,promises_.mkdir)(directory);
    const place = single ? external_node_path_default().join(directory, external_node_path_default().basename(part.origin.path)) : directory;
    const source = await createSource(specFor(part, place), depsFor(tools, to));
    // What the part left out is nowhere here, and does not have to stay.
    const plain = { ...part, origin: { path: place } };
    const found = paths.length === 0 ? undefined : await findPaths(part, read, paths);
    if (found !== undefined) {
        await checkRooms([{ directory: to, bytes: found.bytes, what: `${paths.join(', ')} of ${part.name}` }]);
    }
    const swaps = await (found === undefined
        ? source.stage(plain, read, tools.run)
        : source.stagePaths?.(plain, read, tools.run, found));
    // Nothing is there that the new could be exchanged for.
    for (const { fresh, live } of swaps ?? [])
        await (0,promises_.rename)(fresh, live);
    await source.unstage(tools.run);
}
/** Where a part would live if it lived there. */
function specFor({ name, kind, method, postgres }, place) {
    if (kind === 'postgres') {
        const user = postgres?.user ?? 'postgres';
        return {
            type: 'postgres',
            name,
            path: place,
            method: method === 'sqlite' ? 'files' : method,
            user,
            service: '',
            containerPath: '',
        };
    }
    if (kind === 'sqlite')
        return { type: 'sqlite', name, path: place, writers: [] };
    return { type: kind === 'file' ? 'file' : 'directory', name, path: place, exclude: [], writers: [] };
}
/** No service, no engine: only files. */
function depsFor({ project, log, clock, run }, to) {
    const bare = { ...project, directory: to, engine: null, services: () => Promise.resolve([]) };
    return { project: bare, log, clock, run, back: true };
}
/** What to do with it, for the log. */
function usage({ part, databases: chosen }, directory) {
    const { postgres } = part;
    if (part.method === 'dump') {
        const databases = chosen.length > 0 ? chosen : (postgres?.databases ?? []);
        return [
            `${directory}: dumps of PostgreSQL ${postgres?.version ?? ''} (${databases.join(', ')}), for this major version or a newer one.`,
            `Into a server of your own: psql -U ${postgres?.user ?? 'postgres'} -d template1 -f globals.sql (it may say that roles exist already); createdb NEW; pg_restore -d NEW --exit-on-error FILE.dump`,
        ];
    }
    if (part.kind === 'postgres') {
        return [
            `${directory}: a data directory of PostgreSQL ${postgres?.version ?? ''}. A server of major version ${postgres?.major ?? 'the same'} starts on it: mount it as PGDATA in a container of its own, owned by the user that the server runs as, mode 0700.`,
        ];
    }
    return [`${directory}: ${part.kind === 'sqlite' ? 'a SQLite database' : 'files'}, as in ${part.origin.path}`];
}

;// CONCATENATED MODULE: ./src/code/git-command.ts

/** Every code that git itself ends with: judged here, so that its own words can be shown. */
const git_command_ANY_CODE = [...Array(256).keys()];
/**
 * Git in one directory. Everything that it needs to be told goes through the environment (GIT_CONFIG_COUNT), so that nothing is written
 * into anybody's configuration and no token into argv.
 */
class Git {
    directory;
    /** Directories that git may trust although others own them: only the clone that the user named, and what lies in it. */
    #trusted;
    #deps;
    constructor(directory, trusted, deps) {
        this.directory = directory;
        this.#trusted = trusted;
        this.#deps = deps;
    }
    /** The same in another directory. */
    in(directory) {
        return new Git(directory, this.#trusted, this.#deps);
    }
    /** True where another user's clone is trusted. */
    get trusting() {
        return this.#trusted.length > 0;
    }
    trust(directory) {
        if (!this.#trusted.includes(directory))
            this.#trusted.push(directory);
    }
    /** Standard output without its last line end. Throws `code-failed`. */
    async text(args, options = {}) {
        return (await this.run(args, options)).stdout.replace(/\n$/, '');
    }
    /** The NUL-separated fields of a command with `-z`. */
    async fields(args, options = {}) {
        return (await this.run(args, options)).stdout.split('\0').filter((field) => field !== '');
    }
    /** True for exit code 0, false for 1. */
    async holds(args) {
        return (await this.run(args, { accept: [1] })).exitCode === 0;
    }
    async run(args, options = {}) {
        const { log, processes, signal } = this.#deps;
        const result = await processes.run({ argv: ['git', ...args], cwd: this.directory, env: this.#environment(options) }, {
            accept: git_command_ANY_CODE,
            ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
            ...(signal === undefined ? {} : { signal }),
            ...(options.show ? { onLine: (line) => log.info(line) } : {}),
        });
        if (result.exitCode === 0 || options.accept?.includes(result.exitCode))
            return result;
        throw new errors/* CaretakerError */.xT('code-failed', `failed to ${options.what ?? `run git ${args[0]}`} in ${this.directory}: ${lastWords(result)}`, { hint: 'Run the same git command there by hand, as the user that the runner works as, to see more.' });
    }
    #environment({ config = [], env }) {
        const pairs = [
            ...this.#trusted.map((directory) => ['safe.directory', directory]),
            // A clone may be another user's: nothing in it is executed in our name, nor does its hook decide over an exit code.
            ['core.hooksPath', '/dev/null'],
            ['core.fsmonitor', 'false'],
            ['gc.auto', '0'],
            ['advice.detachedHead', 'false'],
            ...config,
        ];
        const before = Number(process.env['GIT_CONFIG_COUNT'] ?? 0) || 0;
        return {
            LC_ALL: 'C',
            GIT_TERMINAL_PROMPT: '0',
            // `stash create` makes commits; nobody else sees them.
            GIT_AUTHOR_NAME: 'Compose Caretaker',
            GIT_AUTHOR_EMAIL: 'caretaker@localhost',
            GIT_COMMITTER_NAME: 'Compose Caretaker',
            GIT_COMMITTER_EMAIL: 'caretaker@localhost',
            GIT_CONFIG_COUNT: String(before + pairs.length),
            ...Object.fromEntries(pairs.flatMap(([key, value], at) => [
                [`GIT_CONFIG_KEY_${before + at}`, key],
                [`GIT_CONFIG_VALUE_${before + at}`, value],
            ])),
            ...env,
        };
    }
}
/** Configuration that sends the token to its server, and a header that a checkout action may have left in the clone not as well: two are an error there. */
function tokenConfig({ value, serverUrl }) {
    const key = `http.${new URL(serverUrl).origin}/.extraheader`;
    return [
        [key, ''],
        [key, `AUTHORIZATION: basic ${Buffer.from(`x-access-token:${value}`).toString('base64')}`],
    ];
}
function lastWords({ stdout, stderr, exitCode }) {
    const lines = (stderr.trim() || stdout.trim()).split('\n').slice(-8).join('\n');
    return lines === '' ? `git ended with code ${exitCode}` : lines;
}

;// CONCATENATED MODULE: ./src/code/submodules.ts
/** The submodules of a commit by path; none where the commit is not in the clone. */
async function submodulesOf(git, commit) {
    const lines = await git.fields(['config', '-z', '--blob', `${commit}:.gitmodules`, '--get-regexp', '^submodule\\..*\\.(path|url|update)$'], { accept: [1, 128] });
    const named = new Map();
    for (const line of lines) {
        // KEY, a line end, the value.
        const [, name = '', key = '', value = ''] = /^submodule\.(.*)\.([a-z]+)\n(.*)$/s.exec(line) ?? [];
        named.set(name, { ...named.get(name), [key]: value.replace(/\/$/, '') });
    }
    const found = new Map();
    for (const [name, { path, url = '', update }] of named) {
        if (path === undefined)
            continue;
        const [mode, , recorded] = (await git.text(['ls-tree', commit, '--', path])).split(/[ \t]/);
        if (mode === '160000' && recorded !== undefined)
            found.set(path, { name, url, update, commit: recorded });
    }
    return found;
}

;// CONCATENATED MODULE: ./src/code/versions.ts

/** Null where the tag is no version. */
function parseVersion(tag) {
    const date = /^v?(\d{4})-(\d{2})(?:-(\d{2}))?$/.exec(tag);
    if (date !== null) {
        const numbers = date
            .slice(1)
            .filter((number) => number !== undefined)
            .map(Number);
        return { prefix: '', numbers, preRelease: undefined, calendar: true };
    }
    const match = /^((?:[A-Za-z][A-Za-z0-9_.]*[-/@_])*)v?(\d+(?:\.\d+)*)(?:-([0-9A-Za-z.-]+)|\.?((?:a|b|rc|dev|alpha|beta|pre)[0-9A-Za-z.-]*))?(?:\+[0-9A-Za-z.-]+)?$/.exec(tag);
    if (match === null)
        return null;
    const [, prefix = '', text = '', dashed, glued] = match;
    const parts = text.split('.');
    const numbers = parts.map(Number);
    if (!numbers.every(Number.isSafeInteger))
        return null;
    const [year = 0, month] = numbers;
    // Two-digit years only where the month is written as months are (25.09, 25.10): Node's 24.1.0 is no calendar version.
    const ofMonth = month !== undefined && month >= 1 && month <= 12;
    const shortYear = year >= 20 && year <= 99 && ofMonth && parts[1]?.length === 2 && (parts.length === 2 || parts[1].startsWith('0'));
    return {
        prefix: prefix.toLowerCase(),
        numbers,
        preRelease: dashed ?? glued,
        calendar: (year >= 2000 && year <= 2099 && numbers.length > 1) || shortYear,
    };
}
/** Negative where `one` is older; by SemVer's precedence. A missing number counts as 0. */
function compareVersions(one, other) {
    for (let at = 0; at < Math.max(one.numbers.length, other.numbers.length); at++) {
        const difference = (one.numbers[at] ?? 0) - (other.numbers[at] ?? 0);
        if (difference !== 0)
            return difference;
    }
    return comparePreReleases(one.preRelease, other.preRelease);
}
function comparePreReleases(one, other) {
    if (one === other)
        return 0;
    if (one === undefined)
        return 1;
    if (other === undefined)
        return -1;
    // `rc2` and `rc10` are compared as `rc.2` and `rc.10`.
    const words = (text) => text.match(/\d+|[A-Za-z]+/g) ?? [];
    const [left, right] = [words(one), words(other)];
    for (let at = 0; at < Math.max(left.length, right.length); at++) {
        const [a, b] = [left[at], right[at]];
        if (a === undefined)
            return -1;
        if (b === undefined)
            return 1;
        if (a === b)
            continue;
        const [aNumber, bNumber] = [/^\d/.test(a), /^\d/.test(b)];
        if (aNumber && bNumber) {
            if (Number(a) !== Number(b))
                return Number(a) - Number(b);
            continue;
        }
        if (aNumber !== bNumber)
            return aNumber ? -1 : 1;
        return a < b ? -1 : 1;
    }
    return 0;
}
function isMajorStep(from, to) {
    const [before = 0, after = 0] = [from.numbers[0], to.numbers[0]];
    if (after <= before)
        return false;
    // v25.12.1 → v26.01.0: only the second is written so that it shows as a calendar version.
    if (from.calendar || to.calendar)
        return from.calendar !== to.calendar && after - before > 1;
    return true;
}
/**
 * Refuses a lower version (`version-downgrade`) and a major step (`version-major`) unless `allow` holds `downgrade` or `major`. Tags that are
 * no versions, null, or of different products can't be compared and pass.
 */
function gateVersions(current, target, allow) {
    const [from, to] = [current, target].map((tag) => (tag === null ? null : parseVersion(tag)));
    if (from === null || to === null || from.prefix !== to.prefix)
        return;
    if (compareVersions(to, from) < 0 && !allow.includes('downgrade')) {
        throw new errors/* CaretakerError */.xT('version-downgrade', `${target} is lower than ${current}, which is deployed`, {
            input: 'allow',
            hint: 'A database seldom survives a way back: restore a backup of that version instead, or add "downgrade" to allow.',
        });
    }
    if (isMajorStep(from, to) && !allow.includes('major')) {
        throw new errors/* CaretakerError */.xT('version-major', `${current} → ${target} is a major version step`, {
            input: 'allow',
            hint: 'Read its release notes, then add "major" to allow.',
        });
    }
}
/**
 * The newest tag above `current` that the gates let through, null where there is none: a major step only when `allow` holds `major`, pre-releases
 * only when it holds `prerelease`. Only tags of the same product count; floating ones (`v1` beside `v1.2`) do not.
 */
function newestAllowed(tags, current, allow) {
    const from = current === null ? null : parseVersion(current);
    let best = null;
    for (const { tag, version } of releases(tags, from?.prefix ?? '')) {
        if (version.preRelease !== undefined && !allow.includes('prerelease'))
            continue;
        if (from !== null && compareVersions(version, from) <= 0)
            continue;
        if (from !== null && isMajorStep(from, version) && !allow.includes('major'))
            continue;
        if (best === null || compareVersions(version, best.version) > 0)
            best = { tag, version };
    }
    return best?.tag ?? null;
}
/** The tags of a product that are versions, floating ones left out. */
function releases(tags, prefix) {
    const versions = tags.flatMap((tag) => {
        const version = parseVersion(tag);
        return version === null || version.prefix !== prefix ? [] : [{ tag, version }];
    });
    return versions.filter(({ version: { numbers } }) => !versions.some(({ version: other }) => other.numbers.length > numbers.length && numbers.every((number, at) => number === other.numbers[at])));
}
/** The highest version among tags, null where none is one. Of tags of several products only those without a prefix count. */
function highestVersion(tags) {
    const versions = tags.flatMap((tag) => {
        const version = parseVersion(tag);
        return version === null ? [] : [{ tag, version }];
    });
    const prefixes = new Set(versions.map(({ version }) => version.prefix));
    const prefix = prefixes.size === 1 ? [...prefixes][0] : '';
    const candidates = versions.filter(({ version }) => version.prefix === prefix);
    candidates.sort((one, other) => compareVersions(other.version, one.version));
    return candidates[0]?.tag ?? null;
}

;// CONCATENATED MODULE: ./src/code/git.ts
var _a;






/** Where a later run goes back to: the commits and branches of then, with the local changes of now. What did not move then stays as it is. */
function backTo(then, now) {
    const submodules = (then.submodules ?? []).flatMap((noted) => {
        if (!noted.moves)
            return [];
        const today = now.submodules?.find((one) => one.path === noted.path)?.was ?? null;
        if (noted.was === null)
            return [noted];
        return [{ ...noted, was: today === null ? { ...noted.was, local: null } : backTo(noted.was, today) }];
    });
    return { commit: then.commit, branch: then.branch, local: now.local, target: null, submodules };
}
/**
 * The clone that the directory belongs to; null where it belongs to none. A directory below a clone of which git tracks nothing (an instance directory
 * that is ignored there, a home directory under version control) does not belong to it, unless `named`: the user said that it does.
 */
async function openCheckout(directory, deps, { named = false } = {}) {
    const real = await (0,promises_.realpath)(directory);
    const trusted = [];
    for (;;) {
        const git = new Git(real, trusted, deps);
        let result;
        try {
            result = await git.run(['rev-parse', '--show-toplevel'], { accept: [128] });
        }
        catch (error) {
            const none = error instanceof errors/* CaretakerError */.xT && error.code === 'command-missing' && !(await isClone(real));
            if (none)
                return null;
            throw error;
        }
        if (result.exitCode === 0) {
            const top = result.stdout.replace(/\n$/, '');
            const ours = named || top === real || (await git.fields(['ls-files', '-z', '--', '.'])).length > 0;
            if (!ours)
                return null;
            const checkout = new GitCheckout(new Git(top, trusted, deps), deps);
            await checkout.trustSubmodules();
            return checkout;
        }
        // The message names the directory to trust: the top one, or its .git. Only one that holds what the user named is.
        const dubious = /dubious ownership in repository at '(.+)'/.exec(result.stderr)?.[1];
        if (dubious === undefined) {
            if (/not a git repository/.test(result.stderr))
                return null;
            throw new errors/* CaretakerError */.xT('code-failed', `failed to open the git clone ${directory}: ${lastWords(result)}`);
        }
        const top = dubious.replace(/\/\.git\/?$/, '');
        if (trusted.includes(dubious) || (top !== real && !real.startsWith(`${top}/`))) {
            throw new errors/* CaretakerError */.xT('code-untrusted', `git does not trust the clone ${dubious}, which another user owns`, {
                hint: `Run: git config --global --add safe.directory ${dubious}`,
            });
        }
        trusted.push(...new Set([dubious, top]));
    }
}
async function isClone(directory) {
    return (await (0,promises_.stat)(external_node_path_default().join(directory, '.git')).catch(() => null)) !== null;
}
class GitCheckout {
    directory;
    #git;
    #deps;
    /** What the remote asked for. Git LFS asks it again in the middle of a checkout, which can't be tried twice. */
    #access = [];
    constructor(git, deps) {
        this.directory = git.directory;
        this.#git = git;
        this.#deps = deps;
    }
    async head() {
        const commit = await this.#commit('HEAD');
        if (commit === null) {
            throw new errors/* CaretakerError */.xT('code-failed', `the git clone ${this.directory} has no commit yet`, {
                hint: 'Clone the application’s repository there.',
            });
        }
        const branch = await this.#git.text(['symbolic-ref', '--quiet', '--short', 'HEAD'], { accept: [1] });
        const tags = (await this.#git.text(['tag', '--points-at', 'HEAD'])).split('\n').filter((tag) => tag !== '');
        const describe = await this.#git.text(['describe', '--tags', '--always'], { accept: [128] });
        return {
            commit,
            branch: branch === '' ? null : branch,
            tag: highestVersion(tags) ?? tags[0] ?? null,
            describe: describe === '' ? null : describe,
        };
    }
    async fetch() {
        const remote = await this.#remote();
        if (remote === null) {
            this.#deps.log.info(`${this.directory} has no remote: only what is in the clone can be deployed`);
            return;
        }
        const shallow = (await this.#git.text(['rev-parse', '--is-shallow-repository'])) === 'true';
        // --force: a tag that was moved upstream would otherwise end the fetch. Without all commits nobody can tell a fast-forward.
        // Submodules are fetched when they are checked out: it is not known yet to which version.
        const args = ['fetch', '--tags', '--force', '--no-recurse-submodules', ...(shallow ? ['--unshallow'] : []), remote];
        const result = await this.#reaching(args, { show: true, timeoutMs: 600_000 });
        if (result.exitCode === 0)
            return;
        throw new errors/* CaretakerError */.xT('fetch-failed', `failed to fetch ${remote} in ${this.directory}: ${lastWords(result)}`, {
            hint: 'Run "git fetch" there as the user that the runner works as: it needs the network and access to that repository.',
        });
    }
    /** A command that needs the network. Without the token first: the administrator's own credentials may reach what a workflow's token can't. */
    async #reaching(args, options) {
        const { log, token } = this.#deps;
        const result = await this.#git.run(args, { ...options, accept: git_command_ANY_CODE });
        if (result.exitCode === 0 || token === undefined)
            return result;
        const config = tokenConfig(token);
        for (const [, value] of config)
            if (value !== '')
                log.mask(value.slice(value.lastIndexOf(' ') + 1));
        const second = await this.#git.run(args, { ...options, accept: git_command_ANY_CODE, config });
        if (second.exitCode === 0)
            this.#access = config;
        return second;
    }
    async resolveTarget({ ref, track, eventTag, allow = [] }) {
        if (ref !== undefined)
            return this.#resolveRef(ref);
        if (track === 'releases')
            return this.#resolveRelease(allow);
        if (track === undefined && eventTag !== undefined) {
            const commit = await this.#commit(`refs/tags/${eventTag}`);
            if (commit !== null)
                return this.#target(commit, eventTag, { tag: eventTag });
            throw this.#unknown(eventTag, 'the tag of the event that started this workflow');
        }
        return this.#newer(await this.#resolveUpstream());
    }
    async gate(target, allow) {
        const head = await this.head();
        // A tag that is no version (`stable`) says nothing: the version of its commit does.
        const asked = target.tag !== null && parseVersion(target.tag) !== null ? target.tag : target.version;
        gateVersions(await this.#versionOf(head.commit), asked, allow);
        const back = head.commit !== target.commit && (await this.isAncestor(target.commit, head.commit));
        if (back && !allow.includes('downgrade')) {
            throw new errors/* CaretakerError */.xT('version-downgrade', `${target.label} is contained in what is deployed already`, {
                input: 'allow',
                hint: 'Going there is a step back; add "downgrade" to allow if that is meant.',
            });
        }
        await this.#refuseDiverged(head, target);
        await this.#refuseOverwriting(target, allow);
    }
    isAncestor(ancestor, descendant) {
        return this.#git.holds(['merge-base', '--is-ancestor', ancestor, descendant]);
    }
    async show(commit, file) {
        const { exitCode, stdout } = await this.#git.run(['cat-file', 'blob', `${commit}:${file}`], { accept: [128] });
        return exitCode === 0 ? stdout : null;
    }
    async dirtyFiles() {
        const fields = await this.#git.fields(['status', '--porcelain=v1', '-z', '--untracked-files=no', '--no-renames'], {
            env: { GIT_OPTIONAL_LOCKS: '0' },
        });
        return fields.map((field) => field.slice(3));
    }
    async isGits(place) {
        const inside = external_node_path_default().relative(this.directory, place);
        if (inside === '' || inside.startsWith('..'))
            return false;
        const args = ['status', '--porcelain', '-z', '--untracked-files=all', '--ignored', '--', `:(literal)${inside}`];
        return (await this.#git.fields(args, { env: { GIT_OPTIONAL_LOCKS: '0' } })).length === 0;
    }
    async collisions(commit) {
        const dirty = new Set(await this.dirtyFiles());
        const differing = await this.#git.fields(['diff', '--name-only', '-z', '--no-renames', 'HEAD', commit]);
        const changed = differing.filter((file) => dirty.has(file));
        const untracked = [];
        for (const { file, submodule } of await this.#added('HEAD', commit)) {
            const place = external_node_path_default().join(this.directory, file);
            // What git itself leaves of a submodule that an earlier version had.
            if (submodule && ((await git_exists(external_node_path_default().join(place, '.git'))) || (await isEmptyDirectory(place))))
                continue;
            // Git itself would overwrite an ignored file without a word: an .env that the new version brings with it.
            if (!dirty.has(file) && (await git_exists(place)))
                untracked.push(file);
        }
        return { changed, untracked };
    }
    async snapshot(target) {
        const { commit, branch } = await this.head();
        const submodules = await this.#noteSubmodules(commit, target?.commit);
        return {
            ...{ commit, branch, local: await this.#localChanges(), target: target?.commit ?? null },
            ...(submodules.length === 0 ? {} : { submodules }),
        };
    }
    async checkout(target, allow = []) {
        const { log } = this.#deps;
        const head = await this.head();
        if (head.commit === target.commit)
            return;
        await this.#refuseDiverged(head, target);
        const { changed } = await this.#refuseOverwriting(target, allow);
        const moved = await this.#movedSubmodules(head.commit, target.commit);
        if (changed.length > 0) {
            await this.#checkoutMerging(target);
            return this.#updateSubmodules(moved);
        }
        await this.#move(head, target);
        await this.#updateSubmodules(moved);
        await this.#warnOfPointers();
        const carried = await this.dirtyFiles();
        if (carried.length > 0)
            log.info(`Local changes kept in ${carried.join(', ')}`);
    }
    async restoreSnapshot(snapshot) {
        await this.#freeIndex();
        try {
            // First of all: else the clone's own files would count as changed because of them.
            await this.#submodulesBack(snapshot);
            await this.#putBack(snapshot);
            await this.#lostSubmodulesBack(snapshot);
        }
        catch (error) {
            throw new errors/* CaretakerError */.xT('code-undo-failed', `failed to put ${this.directory} back to ${snapshot.commit}`, {
                cause: error,
                hint: `By hand, in that directory: git checkout --force ${snapshot.branch === null ? '--detach' : `-B ${snapshot.branch}`} ${snapshot.commit}${snapshot.local === null ? '' : ` && git stash apply --index ${snapshot.local}`}`,
            });
        }
    }
    // --- Targets ---
    async #resolveRef(ref) {
        const name = ref.replace(/^refs\/(tags|heads)\//, '');
        const tag = ref.startsWith('refs/heads/') ? null : await this.#commit(`refs/tags/${name}`);
        if (tag !== null)
            return this.#target(tag, name, { tag: name });
        const remote = await this.#remote();
        const branch = remote === null ? null : await this.#commit(`refs/remotes/${remote}/${name}`);
        if (branch !== null)
            return this.#newer(await this.#target(branch, `${remote}/${name}`, { follows: await this.#isUpstream(`${remote}/${name}`) }));
        const commit = /^[0-9a-f]{7,64}$/.test(ref) ? await this.#commit(ref) : null;
        if (commit !== null)
            return this.#target(commit, commit.slice(0, 12), {});
        throw this.#unknown(ref, 'what the input ref names');
    }
    async #resolveRelease(allow) {
        const head = await this.head();
        const current = await this.#versionOf(head.commit);
        const tags = (await this.#git.text(['for-each-ref', '--format=%(refname:strip=2)', 'refs/tags'])).split('\n');
        const version = current === null ? null : parseVersion(current);
        if (releases(tags, version?.prefix ?? '').length === 0) {
            throw new errors/* CaretakerError */.xT('no-release', `the clone ${this.directory} has no version tag to follow`, {
                input: 'track',
                hint: 'Releases are tags such as v1.2.3 or 2026.11; use track: branch where there are none.',
            });
        }
        const newest = newestAllowed(tags, current, allow);
        if (newest === null)
            return null;
        const commit = await this.#commit(`refs/tags/${newest}`);
        return commit === null ? null : this.#target(commit, newest, { tag: newest });
    }
    async #resolveUpstream() {
        const head = await this.head();
        const remote = await this.#remote();
        const names = head.branch === null
            ? [`refs/remotes/${remote}/HEAD`, `refs/remotes/${remote}/main`, `refs/remotes/${remote}/master`]
            : [`${head.branch}@{upstream}`, `refs/remotes/${remote}/${head.branch}`];
        for (const name of remote === null ? [] : names) {
            const commit = await this.#commit(name);
            if (commit === null)
                continue;
            const label = await this.#git.text(['rev-parse', '--abbrev-ref', name]);
            return this.#target(commit, label, { follows: head.branch !== null });
        }
        throw new errors/* CaretakerError */.xT('upstream-missing', head.branch === null
            ? `the clone ${this.directory} has no branch checked out, and its remote names no default branch`
            : `the branch ${head.branch} of ${this.directory} follows no branch of a remote`, {
            input: 'ref',
            hint: 'Set ref to a tag or branch, or track to releases; or let the branch follow one: git branch --set-upstream-to.',
        });
    }
    /** A branch that is contained already brings nothing new: git pull says "Already up to date" too. */
    async #newer(target) {
        return (await this.isAncestor(target.commit, 'HEAD')) ? null : target;
    }
    async #target(commit, name, { tag = null, follows = false }) {
        const label = tag ?? (name.includes('/') ? `${name} (${commit.slice(0, 12)})` : name);
        return { commit, label, tag, version: await this.#versionOf(commit), follows };
    }
    /** Its own version tag, otherwise the highest of those that it contains. */
    async #versionOf(commit) {
        const own = await this.#git.text(['tag', '--points-at', commit]);
        return (highestVersion(own.split('\n')) ?? highestVersion((await this.#git.text(['tag', '--merged', commit])).split('\n')));
    }
    /** Null where there is no such commit. */
    async #commit(name) {
        const args = ['rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`];
        const { exitCode, stdout } = await this.#git.run(args, { accept: [1, 128] });
        return exitCode === 0 ? stdout.trim() : null;
    }
    /** The remote of the branch that is checked out, otherwise `origin` or the only one; null where there is none. */
    async #remote() {
        const remotes = (await this.#git.text(['remote'])).split('\n').filter((name) => name !== '');
        const branch = await this.#git.text(['symbolic-ref', '--quiet', '--short', 'HEAD'], { accept: [1] });
        const own = branch === '' ? '' : await this.#git.text(['config', '--get', `branch.${branch}.remote`], { accept: [1] });
        return ([own, 'origin', remotes.length === 1 ? remotes[0] : undefined].find((name) => remotes.includes(name ?? '')) ??
            null);
    }
    async #isUpstream(name) {
        const upstream = await this.#git.text(['rev-parse', '--abbrev-ref', '@{upstream}'], { accept: [128] });
        return upstream === name;
    }
    #unknown(name, what) {
        return new errors/* CaretakerError */.xT('ref-unknown', `the clone ${this.directory} has no tag, branch or commit "${name}", ${what}`, {
            input: 'ref',
            hint: 'Is it pushed to the repository that this clone follows? If that is another repository than the workflow’s, set track or ref.',
        });
    }
    // --- Moving ---
    async #refuseDiverged(head, target) {
        if (!target.follows || (await this.isAncestor(head.commit, target.commit)))
            return;
        throw new errors/* CaretakerError */.xT('code-diverged', `${head.branch ?? 'HEAD'} in ${this.directory} has commits that ${target.label} lacks`, {
            input: 'ref',
            hint: 'Rebase or drop the local commits by hand, or set ref to a tag or commit to leave the branch.',
        });
    }
    async #refuseOverwriting(target, allow) {
        const { changed, untracked } = await this.collisions(target.commit);
        const dirty = allow.includes('dirty');
        const submodules = changed.length === 0 ? new Map() : await submodulesOf(this.#git, target.commit);
        // Nothing merges what was changed inside a submodule.
        const refused = [...changed.filter((file) => !dirty || submodules.has(file)), ...untracked];
        if (refused.length === 0)
            return { changed };
        const named = [];
        for (const file of refused)
            named.push(...(submodules.has(file) ? await this.#changesInside(file) : [file]));
        throw new errors/* CaretakerError */.xT('dirty-tree', `${target.label} would overwrite local changes in ${this.directory}: ${named.join(', ')}`, {
            input: 'allow',
            hint: untracked.length > 0
                ? 'Move these files away, or commit them.'
                : dirty
                    ? 'Commit or revert what was changed in these submodules: it is not merged.'
                    : 'Commit or revert them; or add "dirty" to allow to have them merged into the new version.',
        });
    }
    async #changesInside(submodule) {
        const files = (await this.#isCheckedOut(submodule)) ? await this.#submodule(submodule).dirtyFiles() : [];
        return files.length === 0 ? [submodule] : files.map((file) => `${submodule}/${file}`);
    }
    async #move(head, target) {
        const options = { show: true, what: `check out ${target.label}`, config: this.#access };
        if (head.branch !== null && (await this.isAncestor(head.commit, target.commit))) {
            await this.#git.run(['merge', '--ff-only', target.commit], options);
        }
        else {
            await this.#git.run(['checkout', '--detach', target.commit], options);
        }
    }
    /** Local changes go aside, the tree moves, and they are merged back in: what `git pull --autostash` does, and undone as a whole on a conflict. */
    async #checkoutMerging(target) {
        const snapshot = await this.snapshot(target);
        if (snapshot.local === null)
            throw new Error('changed files without changes');
        await this.#git.run(['reset', '--hard', '--quiet']);
        await this.#move(await this.head(), target);
        const merged = await this.#git.run(['stash', 'apply', '--quiet', snapshot.local], { accept: git_command_ANY_CODE });
        if (merged.exitCode === 0) {
            this.#deps.log.info(`Local changes merged into ${(await this.dirtyFiles()).join(', ')}`);
            return;
        }
        await this.restoreSnapshot(snapshot);
        throw new errors/* CaretakerError */.xT('dirty-conflict', `local changes in ${this.directory} conflict with ${target.label}: ${lastWords(merged)}`, {
            input: 'allow',
            hint: 'Merge them by hand: git stash, git pull, git stash pop. Everything is as it was before.',
        });
    }
    /** Without git-lfs git leaves pointers where the files' contents should be, and does not say so. */
    async #warnOfPointers() {
        const files = await this.#git.fields(['ls-files', '-z', '--', ':(top,attr:filter=lfs)']);
        if (files.length === 0)
            return;
        const known = ['config', '--get-regexp', '^filter\\.lfs\\.(process|smudge)$'];
        if ((await this.#git.text(known, { accept: [1] })) !== '')
            return;
        const named = `${files.slice(0, 3).join(', ')}${files.length > 3 ? ` and ${files.length - 3} others` : ''}`;
        this.#deps.log.warn(`${named} in ${this.directory} are kept in Git LFS, and what is checked out are pointers: install git-lfs and run "git lfs install" as the user that the runner works as.`);
    }
    // --- Submodules ---
    /** Where another user's clone is trusted, so is what lies in it: `git status` looks into each submodule. */
    async trustSubmodules() {
        if (!this.#git.trusting)
            return;
        for (const file of (await submodulesOf(this.#git, 'HEAD')).keys()) {
            if (!(await this.#isCheckedOut(file)))
                continue;
            this.#git.trust(external_node_path_default().join(this.directory, file));
            await this.#submodule(file).trustSubmodules();
        }
    }
    #submodule(file) {
        return new _a(this.#git.in(external_node_path_default().join(this.directory, file)), this.#deps);
    }
    #isCheckedOut(file) {
        return git_exists(external_node_path_default().join(this.directory, file, '.git'));
    }
    /** What the way from one commit to the other moves or brings; `elsewhere`: its repository has moved too. */
    async #movedSubmodules(from, to) {
        const before = await submodulesOf(this.#git, from);
        const moved = [];
        for (const [file, { name, url, update, commit }] of await submodulesOf(this.#git, to)) {
            const old = before.get(file);
            // One that somebody has put elsewhere by hand stays there as long as the versions agree.
            if (old?.commit === commit)
                continue;
            const how = await this.#git.text(['config', '--get', `submodule.${name}.update`], { accept: [1] });
            if ((how === '' ? update : how) === 'none' || (old !== undefined && !(await this.#isCheckedOut(file)))) {
                this.#deps.log.info(`The submodule ${file} is not checked out here, and stays so`);
                continue;
            }
            moved.push({ file, elsewhere: old !== undefined && old.url !== url });
        }
        return moved;
    }
    async #updateSubmodules(moved) {
        if (moved.length === 0)
            return;
        await this.#syncSubmodules(moved.filter(({ elsewhere }) => elsewhere).map(({ file }) => file));
        await this.#checkOutSubmodules(moved.map(({ file }) => file));
    }
    async #syncSubmodules(files) {
        if (files.length > 0)
            await this.#git.run(['submodule', 'sync', '--recursive', '--', ...files]);
    }
    async #checkOutSubmodules(files) {
        // --checkout: the clone's configuration may name a command instead.
        const args = ['submodule', 'update', '--init', '--recursive', '--checkout', '--', ...files];
        const result = await this.#reaching(args, { show: true, timeoutMs: 600_000 });
        await this.trustSubmodules();
        if (result.exitCode === 0)
            return;
        throw new errors/* CaretakerError */.xT('code-failed', `failed to check out the submodules ${files.join(', ')} in ${this.directory}: ${lastWords(result)}`, {
            hint: 'Run "git submodule update --init --recursive" there as the user that the runner works as: it needs access to their repositories too.',
        });
    }
    async #noteSubmodules(commit, target) {
        const noted = [];
        const before = await submodulesOf(this.#git, commit);
        const after = target === undefined ? new Map() : await submodulesOf(this.#git, target);
        for (const [file, { commit: recorded }] of before) {
            if (!(await this.#isCheckedOut(file)))
                continue;
            const was = await this.#submodule(file).snapshot();
            const next = after.get(file)?.commit ?? null;
            noted.push({ path: file, moves: next !== recorded, was: { ...was, target: next } });
        }
        for (const file of after.keys()) {
            if (!before.has(file) && !(await this.#isCheckedOut(file)))
                noted.push({ path: file, moves: true, was: null });
        }
        return noted;
    }
    async #submodulesBack({ submodules = [] }) {
        for (const { path: file, was } of submodules) {
            if (!(await this.#isCheckedOut(file)))
                continue;
            if (was !== null)
                await this.#submodule(file).restoreSnapshot(was);
            else if (await this.#submodule(file).#isPristine())
                await (0,promises_.rm)(external_node_path_default().join(this.directory, file), { recursive: true });
            else
                this.#deps.log.warn(`${external_node_path_default().join(this.directory, file)} stays, as it holds files that git does not know.`);
        }
    }
    async #isPristine() {
        return (await this.#git.text(['status', '--porcelain', '--ignored'])) === '';
    }
    /** Those whose files were removed meanwhile: what they need is in the clone still. */
    async #lostSubmodulesBack({ commit, target, submodules = [] }) {
        if (submodules.length === 0)
            return;
        const before = await submodulesOf(this.#git, commit);
        const after = target === null ? before : await submodulesOf(this.#git, target);
        const moved = [...before].filter(([file, { url }]) => (after.get(file)?.url ?? url) !== url).map(([file]) => file);
        const known = new Set(submodules.map(({ path: file }) => file));
        await this.#syncSubmodules(moved.filter((file) => known.has(file)));
        for (const { path: file, was } of submodules) {
            if (was === null || (await this.#isCheckedOut(file)))
                continue;
            await this.#checkOutSubmodules([file]);
            await this.#submodule(file).restoreSnapshot(was);
        }
    }
    async #localChanges() {
        // A file that was only touched, copied or given to another user would make `stash create` fail for want of changes.
        await this.#git.run(['update-index', '-q', '--refresh'], { accept: [1] });
        const local = await this.#git.text(['stash', 'create'], { what: 'note the local changes' });
        return local === '' ? null : local;
    }
    async #putBack(snapshot) {
        const { commit, branch, local } = snapshot;
        const destination = branch === null ? ['--detach', commit] : ['-B', branch, commit];
        // The gentle way leaves files alone that do not differ: a bind mount of a single file hangs on its inode.
        const head = await this.head();
        let there = head.commit === commit && head.branch === branch;
        if (!there) {
            const gentle = await this.#git.run(['checkout', '--quiet', ...destination], { accept: git_command_ANY_CODE });
            there = gentle.exitCode === 0;
        }
        if (!there || !(await this.#holdsOnly(local ?? commit))) {
            const meanwhile = await this.#git.text(['stash', 'create'], { accept: git_command_ANY_CODE });
            await this.#git.run(['checkout', '--force', '--quiet', ...destination]);
            if (local !== null)
                await this.#git.run(['stash', 'apply', '--index', '--quiet', local]);
            if (/^[0-9a-f]{40,}$/.test(meanwhile)) {
                this.#deps.log.info(`What the files of ${this.directory} held before going back is in git commit ${meanwhile}`);
            }
        }
        await this.#removeLeftovers(snapshot);
    }
    /** True where all tracked files are as in this commit. */
    #holdsOnly(commit) {
        return this.#git.holds(['diff', '--quiet', '--no-ext-diff', commit]);
    }
    /** A checkout that was killed leaves files of the new version that git knows nothing of; the next one would stumble over them. */
    async #removeLeftovers({ commit, target }) {
        // A submodule's may not have been fetched yet.
        if (target === null || (await this.#commit(target)) === null)
            return;
        for (const { file, blob } of await this.#added(commit, target)) {
            const there = await (0,promises_.lstat)(external_node_path_default().join(this.directory, file)).catch(() => null);
            if (there?.isFile() !== true)
                continue;
            const tracked = await this.#git.holds(['ls-files', '--error-unmatch', '--', `:(literal)${file}`]);
            if (!tracked && (await this.#git.text(['hash-object', '--', file])) === blob) {
                await (0,promises_.rm)(external_node_path_default().join(this.directory, file));
            }
        }
    }
    async #added(from, to) {
        const fields = await this.#git.fields([
            'diff',
            '--raw',
            '-z',
            '--no-renames',
            '--no-abbrev',
            '--diff-filter=A',
            from,
            to,
        ]);
        const added = [];
        for (let at = 0; at + 1 < fields.length; at += 2) {
            const [, mode, , blob = ''] = fields[at]?.split(' ') ?? [];
            added.push({ blob, file: fields[at + 1] ?? '', submodule: mode === '160000' });
        }
        return added;
    }
    /** A git that was killed leaves its lock, and every later one refuses. Another that is at work gets ten seconds. */
    async #freeIndex() {
        const lock = external_node_path_default().resolve(this.directory, await this.#git.text(['rev-parse', '--git-path', 'index.lock']));
        for (let tries = 0; tries < 20 && (await git_exists(lock)); tries++)
            await this.#deps.clock.sleep(500);
        if (!(await git_exists(lock)))
            return;
        this.#deps.log.warn(`Removed ${lock}, which a git that was killed had left.`);
        await (0,promises_.unlink)(lock);
    }
}
_a = GitCheckout;
async function isEmptyDirectory(directory) {
    return (await (0,promises_.readdir)(directory).catch(() => null))?.length === 0;
}
async function git_exists(file) {
    return (await (0,promises_.lstat)(file).catch(() => null)) !== null;
}

;// CONCATENATED MODULE: ./src/modes/last-update.ts




const last_update_fileIn = (stateDirectory) => external_node_path_default().join(stateDirectory, 'last-update.json');
async function rememberUpdate(stateDirectory, update) {
    await (0,system_files/* writeAtomic */.vZ)(last_update_fileIn(stateDirectory), `${JSON.stringify(update, null, 2)}\n`);
}
async function forgetUpdate(stateDirectory) {
    await (0,promises_.rm)(last_update_fileIn(stateDirectory), { force: true });
}
/** Throws `nothing-to-roll-back` where no update has been made, or the last one has been rolled back. */
async function lastUpdate(stateDirectory) {
    const text = await (0,system_files/* readText */.yR)(last_update_fileIn(stateDirectory));
    if (text !== null)
        return JSON.parse(text);
    throw new errors/* CaretakerError */.xT('nothing-to-roll-back', `there is no update to go back from: ${last_update_fileIn(stateDirectory)} is missing`, {
        hint: 'A rollback goes back before the last update that this program made on this host, once. To go further back, update to an older ref with allow: downgrade, and restore a backup.',
    });
}

;// CONCATENATED MODULE: ./src/modes/rollback.ts











/**
 * rollback: back before the last update, once the new version has turned out bad after all. Code and image names back, and then either the new version's data stay
 * (backup → switch → health) or those from before the update return (unpack beside → stop → swap → start → health; what was there becomes a safety backup).
 * Whatever fails brings the newer version and its data back.
 */
async function rollback(tools, settings) {
    const { project, checkout, recorder, saga } = tools;
    const update = await lastUpdate(project.stateDirectory);
    recorder.sections = { update: { from: update.to, to: update.from, changedServices: [] } };
    const old = settings.withData ? await safetyBackup(tools, settings, update) : undefined;
    const head = (await checkout?.head()) ?? null;
    await recorder.step('Check what there is to go back to', async () => {
        refuseMoved(update, head?.commit ?? null);
        await refuseMissingImages(tools, update);
        await tools.local.check('write');
    });
    const { sources, left } = await recorder.step('Find the data', () => dataSources(tools, settings.data));
    await checkDisk(sources, project.stateDirectory);
    const images = await imagesNow(tools);
    const serving = await noteWhatServes(tools, settings);
    await recorder.step(`Code and images of ${update.from ?? 'the version before'}`, () => codeAndImagesBack(tools, update));
    const { keepLocal, keepLocalDays } = settings;
    const tidy = { action: 'tidy', data: { keepLocal, keepLocalDays, keepVersions: PROTECTED_VERSIONS } };
    const label = update.to ?? update.commit ?? '';
    const avoided = update.commit === null
        ? null
        : { commit: update.commit, label, at: tools.clock.now().toISOString(), why: 'rolled back by hand' };
    const forget = { action: 'forget-update', data: avoided };
    if (old === undefined) {
        const captured = await switchOver(tools, settings, { sources, left, reason: 'before-rollback', head, serving }, () => recorder.step('Switch to the old version', () => bringUp(tools)), async (taken) => {
            await saga.commit([forget, tidy]);
            return taken;
        });
        return { update, restored: undefined, captured };
    }
    const aside = await exchangeData(tools, settings, { ...old, run: tools.run, start: () => bringUp(tools) });
    const keep = {
        action: 'keep-aside',
        data: { parts: aside, run: tools.run, reason: 'before-rollback', head, images },
    };
    await saga.commit([keep, forget, tidy]);
    return { update, restored: update.backup, captured: undefined };
}
async function codeAndImagesBack(tools, update) {
    const { project, checkout, saga } = tools;
    if (checkout !== null && update.code !== null) {
        const now = await checkout.snapshot();
        const then = backTo(update.code, now);
        await saga.step('check out', { undo: { action: 'code-back', data: { ...now, target: then.commit } } }, () => checkout.restoreSnapshot(then));
    }
    const names = await protectImages(project, tools.run);
    await saga.step('images', { undo: { action: 'images-back', data: names } }, () => imagesBack(project, update.images));
}
/** The data from before the update, whole and with a place to go to, before anything is touched. */
async function safetyBackup(tools, settings, update) {
    const { project } = tools;
    if (settings.confirm !== project.name) {
        throw new errors/* CaretakerError */.xT('not-confirmed', `going back with the data loses what was written since ${update.at}, and confirm does not say so`, { input: 'confirm', hint: `Set confirm to the project's name: ${project.name}` });
    }
    const directory = localDirectory(project.stateDirectory);
    const { manifest } = await capturedIn(directory, update.backup);
    const parts = dataParts(manifest.parts);
    const sources = new Map();
    await tools.recorder.step(`Verify ${update.backup}`, async () => {
        for (const part of parts) {
            for (const file of part.files)
                await verifyPart(external_node_path_default().join(directory, file.file), file);
            sources.set(part.name, await sourceForPart(part, sourceDeps(tools)));
        }
    });
    return { parts, sources, directory };
}
function refuseMoved(update, commit) {
    if (update.commit === commit)
        return;
    throw new errors/* CaretakerError */.xT('rollback-moved', `the last update went to ${update.to ?? update.commit ?? 'no commit'}, and ${commit ?? 'no clone'} is checked out now`, {
        hint: 'Somebody has moved the code since. Check out what the update went to, or update to an older ref with allow: downgrade.',
    });
}
async function refuseMissingImages({ project }, update) {
    const { engine } = project;
    if (engine === null)
        return;
    const missing = [];
    for (const { name, id } of update.images)
        if ((await engine.runtime.imageId(id)) === null)
            missing.push(`${name} (${id})`);
    if (missing.length === 0)
        return;
    throw new errors/* CaretakerError */.xT('rollback-image-missing', `images from before the update are gone: ${missing.join(', ')}`, {
        hint: 'Somebody removed them. Update to the older ref with allow: downgrade, which builds or pulls them anew.',
    });
}

;// CONCATENATED MODULE: ./src/modes/aside.ts







/**
 * Turns the data that a restore put aside into a safety backup in the common format, and removes them only when it is stored: the state
 * at the very moment of the stop, taken without a second of downtime. On failure they stay where they are.
 */
async function keepAside(tools, kept) {
    const { parts, run, reason, head, images } = kept;
    const { project, recorder } = tools;
    const directory = external_node_path_default().join(project.stateDirectory, 'staging', `${run}-safety`);
    await (0,promises_.rm)(directory, { recursive: true, force: true });
    const databases = await databasesAside(tools, kept.databases ?? []);
    const sources = [...databases.sources];
    for (const { part, swaps } of parts) {
        for (const swap of swaps) {
            // Where nothing was before, a mark lies aside and no data; or a directory that was made for them.
            const { kind, files } = await project.files.scan(swap.aside);
            if (kind !== 'file' && (kind !== 'directory' || files === 0))
                continue;
            const source = await asideSource(tools, part, swap, kind);
            sources.push({ ...source, name: nameBeside(source.name, sources) });
        }
    }
    if (sources.length > 0) {
        try {
            const captured = await captureBackup(tools, {
                sources,
                left: [],
                situation: 'stopped',
                reason,
                head,
                images,
                directory,
            });
            await storeBackup(tools, captured, tools.local);
            recorder.safetyBackup = captured.manifest.name;
        }
        finally {
            await (0,promises_.rm)(directory, { recursive: true, force: true });
        }
    }
    await databases.drop();
    await project.files.remove(parts.flatMap(({ swaps }) => swaps.map(({ aside }) => aside)));
    for (const { part } of parts)
        await (await sourceForPart(part, sourceDeps(tools))).unstage(run);
}
/** The source that reads from aside, and whose part goes back to where the live data are. */
async function asideSource(tools, part, swap, found) {
    const deps = sourceDeps(tools);
    const { name, writers, origin } = await sourceForPart(part, deps);
    if (part.kind === 'sqlite') {
        const file = external_node_path_default().join(swap.aside, external_node_path_default().basename(swap.live));
        return { ...(await createSource({ type: 'sqlite', name, path: file, writers }, deps)), origin };
    }
    if (part.kind === 'postgres') {
        // No service: nothing serves from aside. A cluster that was shut down is whole, and goes back into a server of the same major version.
        const user = part.postgres?.user ?? 'postgres';
        const spec = {
            type: 'postgres',
            name,
            service: '',
            method: 'files',
            path: swap.aside,
            containerPath: '',
            user,
        };
        return { ...(await createSource(spec, deps)), origin, writers };
    }
    const files = await createSource({ type: found, name, path: swap.aside, exclude: [], writers }, deps);
    const inside = swap.kind === 'sqlite' || swap.root === undefined ? '' : (within(swap.root, swap.live) ?? '');
    if (inside === '')
        return { ...files, kind: part.kind, origin };
    // What was at a path inside the part is a part of its own, that goes back to that path and leaves the rest alone.
    return { ...files, name: `${name}-${plain(inside)}`, kind: found, origin: originInside(origin, inside) };
}
function originInside(origin, inside) {
    const { service, volume, path: root, relativePath, containerPath } = origin;
    return {
        ...(service === undefined ? {} : { service }),
        ...(volume === undefined ? {} : { volume }),
        path: external_node_path_default().join(root, inside),
        ...(relativePath === undefined ? {} : { relativePath: external_node_path_default().join(relativePath, inside) }),
        ...(containerPath === undefined ? {} : { containerPath: external_node_path_default().join(containerPath, inside) }),
    };
}
/** As much of a path as the name of a part may hold. */
function plain(inside) {
    return inside
        .toLowerCase()
        .replaceAll(/[^a-z0-9]+/g, '-')
        .replaceAll(/^-|-$/g, '');
}
const aside_LONGEST_NAME = 63;
/** The name, shortened to what a part's may have, and told from those that are taken by a number. */
function nameBeside(name, taken) {
    for (let number = 1;; number++) {
        const end = number === 1 ? '' : `-${number}`;
        const free = name.slice(0, aside_LONGEST_NAME - end.length).replace(/-+$/, '') + end;
        if (!taken.some((other) => other.name === free))
            return free;
    }
}

;// CONCATENATED MODULE: ./src/modes/keep-local.ts


const DAY_MS = 24 * 60 * 60 * 1000;
/**
 * `backups`: newest first. The count takes all but the newest so many, age all that are older; but age never takes the newest, and neither what mode rollback
 * would need (`needed`): updates that fail must not take that away. A count of 0 keeps nothing at all.
 */
function safetyStays(backups, { keepLocal = Infinity, keepLocalDays }, needed, now) {
    return backups.map((backup, at) => {
        const ends = keepLocalDays === undefined ? undefined : new Date(backup.createdAt.getTime() + keepLocalDays * DAY_MS);
        if (backup.name === needed && keepLocal > 0) {
            return { backup, goes: undefined, kept: 'for a rollback of the last update' };
        }
        const why = at >= keepLocal
            ? `removed: ${keepLocal} are kept`
            : at > 0 && ends !== undefined && ends < now
                ? `removed: older than ${keepLocalDays} days`
                : undefined;
        if (why !== undefined)
            return { backup, goes: why, kept: 'until the next update, rollback or restore' };
        const limits = [
            ...(Number.isFinite(keepLocal)
                ? [`until ${keepLocal - at} more ${keepLocal - at === 1 ? 'is' : 'are'} made`]
                : []),
            ...(ends === undefined
                ? []
                : [`until ${ends.toISOString().slice(0, 10)}${at === 0 ? ', as the newest longer' : ''}`]),
        ];
        return { backup, goes: undefined, kept: limits.length === 0 ? 'for ever' : limits.join(', or ') };
    });
}
/** The safety backup that a rollback of the last update needs; undefined where there is nothing to roll back. */
async function neededByRollback(stateDirectory) {
    try {
        return (await lastUpdate(stateDirectory)).backup;
    }
    catch (error) {
        if (error instanceof errors/* CaretakerError */.xT || error instanceof SyntaxError)
            return undefined;
        throw error;
    }
}
async function dropSafetyBackups(tools, keep) {
    const { local, project, log, clock } = tools;
    const needed = await neededByRollback(project.stateDirectory);
    for (const { backup, goes } of safetyStays(await local.list(project.name), keep, needed, clock.now())) {
        if (goes === undefined)
            continue;
        log.info(`${backup.name}, of the ${local.name}: ${goes}`);
        await local.delete(backup, undefined);
    }
}

;// CONCATENATED MODULE: ./src/modes/undo.ts





















/** How each step of update and restore is undone. The journal names these keys: renaming one breaks the recovery of older runs. */
function undoActions(tools, patience) {
    return {
        'serve-again': (data) => bringBack(tools(), patience, data),
        'code-back': async (data) => {
            await tools().checkout?.restoreSnapshot(data);
        },
        'images-back': (data) => imagesBack(tools().project, data, { failed: true }),
        'names-away': async (data) => {
            const { engine } = tools().project;
            for (const name of data)
                await engine?.runtime.untag(name);
        },
        'files-away': (data) => filesAway(tools(), data),
        'ground-away': (data) => groundAway(tools(), data),
        'data-back': (data) => dataBack(tools(), data),
        'clean-up': (data) => cleanUp(tools(), data),
        'drop-throwaway': (data) => dropThrowaway(tools(), data),
        unswap: (data) => tools().project.files.unswap(data),
        unstage: async (data) => {
            const { part, run, anew } = data;
            await (await sourceForPart(part, { ...sourceDeps(tools()), ...(anew ? { anew } : {}) })).unstage(run);
        },
        'drop-db': (data) => undoDrop(tools(), data),
        'unswap-db': (data) => undoSwap(tools(), data),
        stop: async (data) => {
            await tools().project.stop(data.services);
        },
    };
}
/** What is left to do after a commit. Each can be repeated, and is until it has succeeded. */
function forwardActions(tools) {
    return {
        'store-backup': async (data) => {
            const { stores, recorder, project } = tools();
            const captured = await capturedIn(localDirectory(project.stateDirectory), data.backup);
            for (const store of stores)
                recorder.stored.push(await storeBackup(tools(), captured, store));
        },
        'keep-aside': (data) => keepAside(tools(), data),
        'remember-update': async (data) => {
            const { stateDirectory } = tools().project;
            await rememberUpdate(stateDirectory, data);
            await avoidNothing(stateDirectory);
        },
        'forget-update': async (data) => {
            const { stateDirectory } = tools().project;
            if (data !== null)
                await avoid(stateDirectory, data);
            await forgetUpdate(stateDirectory);
        },
        tidy: async (data) => {
            const { keepVersions, ...keep } = data;
            await dropSafetyBackups(tools(), keep);
            if (keepVersions !== undefined)
                await dropProtections(tools().project, keepVersions);
        },
    };
}
const recordFile = (tools, run) => external_node_path_default().join(tools.project.stateDirectory, 'staging', `${run}-back.json`);
async function readRecord(tools, run) {
    const text = await (0,system_files/* readText */.yR)(recordFile(tools, run));
    return text === null ? { attempts: [], parts: [], swaps: null } : JSON.parse(text);
}
/**
 * Puts the data of the safety backup back after a version that may have changed everything. Killed while it unpacks, it unpacks anew under another name;
 * killed while it exchanges, it completes the same exchanges: the record tells which.
 */
async function dataBack(tools, { backup, run }) {
    const { project, log } = tools;
    await project.stop();
    const directory = localDirectory(project.stateDirectory);
    let record = await readRecord(tools, run);
    if (record.swaps === null) {
        const text = await (0,system_files/* readText */.yR)(external_node_path_default().join(directory, names_manifestFile(backup)));
        if (text === null) {
            throw new errors/* CaretakerError */.xT('safety-backup-missing', `the backup ${backup} taken before the update is not in ${directory}`, {
                hint: 'The data on disk are those that the failed version left. Restore a backup from the store: mode restore.',
            });
        }
        const parts = dataParts(openManifest(JSON.parse(text)).parts);
        try {
            record = await stageBack(tools, run, parts);
        }
        catch (error) {
            if (!(error instanceof errors/* CaretakerError */.xT && error.code === 'disk-full'))
                throw error;
            log.warn(`${error.message}; making room: what the failed version left of the data goes first`);
            await makeRoom(tools, run, parts);
            record = await stageBack(tools, run, parts);
        }
    }
    const staged = await stagedOf(tools, record);
    for (const swap of inSwapOrder(staged))
        await project.files.swap(swap);
    await loadAll(tools, staged, directory, (_name, work) => work());
}
/** Unpacks all parts beside what the failed version left, under a name of its own for each attempt. */
async function stageBack(tools, run, parts) {
    const { project, log } = tools;
    const { attempts } = await readRecord(tools, run);
    const attempt = `${run}-back${attempts.length + 1}`;
    const record = { attempts: [...attempts, attempt], parts, swaps: null };
    await (0,system_files/* writeAtomic */.vZ)(recordFile(tools, run), JSON.stringify(record));
    const swaps = [];
    for (const part of parts) {
        log.info(`${part.name}: unpacking the data from before the update`);
        const source = await sourceBack(part, tools);
        swaps.push(await source.stage(part, partReader(localDirectory(project.stateDirectory)), attempt));
    }
    await (0,system_files/* writeAtomic */.vZ)(recordFile(tools, run), JSON.stringify({ ...record, swaps }));
    return { ...record, swaps };
}
/**
 * The failed version filled the disk, or it never had room for the data twice. The live data are about to be replaced anyway, by the safety backup, which is
 * read whole once more before they go. What the parts leave out stays. Killed anywhere, it can be done again.
 */
async function makeRoom(tools, run, parts) {
    const sources = await Promise.all(parts.map((part) => sourceBack(part, tools)));
    const directory = localDirectory(tools.project.stateDirectory);
    for (const file of parts.flatMap(({ files }) => files))
        await verifyPart(external_node_path_default().join(directory, file.file), file);
    const { attempts } = await readRecord(tools, run);
    for (const source of sources)
        for (const attempt of attempts)
            await source.unstage(attempt);
    for (const source of sources)
        await source.discard?.();
}
const sourceBack = (part, tools) => sourceForPart(part, { ...sourceDeps(tools), back: true });
async function stagedOf(tools, record) {
    const staged = [];
    for (const [index, part] of dataParts(record.parts).entries()) {
        staged.push({ part, source: await sourceBack(part, tools), swaps: record.swaps?.[index] ?? [] });
    }
    return staged;
}
/** Undone last, when the old version serves again: what the failed version wrote goes, and what this run kept in case. */
async function cleanUp(tools, { run, ...keep }) {
    const { project } = tools;
    const record = await readRecord(tools, run);
    for (const { source, swaps } of await stagedOf(tools, record)) {
        await project.files.remove(swaps.map(({ aside }) => aside));
        for (const attempt of record.attempts)
            await source.unstage(attempt);
    }
    await (0,promises_.rm)(recordFile(tools, run), { force: true });
    await dropRun(project, run);
    if (keep.keepLocal !== undefined)
        await dropSafetyBackups(tools, keep);
}

;// CONCATENATED MODULE: ./src/safety/lock.ts






/**
 * Takes the one lock of this project on this host, `lock` in its state directory, or throws `locked` (who holds it) at once.
 *
 * A lock is a prepared file that link(2) gives its name, which fails where the name is taken: whole or absent, never half written. That
 * of a dead holder with token T is succeeded by whoever gets the name `lock.after-T`, in the same way; he alone may rename his file over `lock`,
 * after seeing that `lock` is still T's (a slow contender may come when the succession is over). A successor who died in the middle
 * is succeeded likewise. So of any number of contenders exactly one wins, wherever any of them is killed.
 */
async function acquireLock(stateDirectory, info, 
/** Called before each attempt to get a name; tests let others act there. */
before = () => Promise.resolve()) {
    const token = (0,external_node_crypto_.randomUUID)();
    const place = (name) => external_node_path_default().join(stateDirectory, name);
    const mine = { ...info, token, holder: ownIdentity() };
    const prepared = place(`lock.prepared-${token}`);
    try {
        await (0,system_files/* writeDurable */.vQ)(prepared, `${JSON.stringify(mine)}\n`);
        while (!(await contend(place, prepared, before)))
            continue;
        await lock_tidy(stateDirectory);
    }
    catch (error) {
        throw (0,system_files/* fileError */.zS)(`take the lock ${place('lock')}`, error);
    }
    finally {
        await (0,promises_.unlink)(prepared).catch((error) => {
            if (error.code !== 'ENOENT')
                throw error;
        });
    }
    return {
        async release() {
            const held = await readHolder(place('lock'));
            if (held?.token !== token)
                return;
            await (0,promises_.unlink)(place('lock'));
            await (0,system_files/* syncDirectory */.zR)(stateDirectory);
        },
    };
}
/** Looks only, and may be called by anybody. Null where nobody has the lock. Throws `lock-unreadable`. */
async function lockHolder(stateDirectory) {
    const held = await readHolder(external_node_path_default().join(stateDirectory, 'lock'));
    if (held === null)
        return null;
    const { mode, since, runUrl, holder } = held;
    const state = !isAlive(holder) ? 'dead' : isElsewhere(holder) ? 'elsewhere' : 'alive';
    return { mode, since, ...(runUrl === undefined ? {} : { runUrl }), pid: holder.pid, host: holder.host, state };
}
/** One attempt: true when the lock is ours, false when it changed hands meanwhile. */
async function contend(place, prepared, before) {
    const dead = [];
    for (let name = 'lock';;) {
        const file = place(name);
        await before(name);
        if (await tryLink(prepared, file)) {
            if (dead.length === 0) {
                await (0,system_files/* syncDirectory */.zR)(external_node_path_default().dirname(file));
                return true;
            }
            for (const one of dead) {
                if ((await readHolder(one.file))?.token === one.token)
                    continue;
                await (0,promises_.unlink)(file);
                return false;
            }
            await (0,promises_.rename)(prepared, place('lock'));
            await (0,system_files/* syncDirectory */.zR)(external_node_path_default().dirname(file));
            return true;
        }
        const other = await readHolder(file);
        if (other === null)
            return false;
        if (isAlive(other.holder))
            throw locked(other, place('lock'));
        dead.push({ file, token: other.token });
        name = `lock.after-${other.token}`;
    }
}
async function tryLink(existing, name) {
    try {
        await (0,promises_.link)(existing, name);
        return true;
    }
    catch (error) {
        if (error.code === 'EEXIST')
            return false;
        throw error;
    }
}
/** What killed contenders left. Whoever still contends with one of them finds `lock` changed, and begins anew. */
async function lock_tidy(stateDirectory) {
    for (const name of await (0,promises_.readdir)(stateDirectory)) {
        if (!/^lock\.(after|prepared)-/.test(name))
            continue;
        const file = external_node_path_default().join(stateDirectory, name);
        // A prepared file of a living contender is his to remove.
        const owner = name.startsWith('lock.prepared-') ? await readHolderLeniently(file) : null;
        if (owner !== null && isAlive(owner.holder))
            continue;
        if (name.startsWith('lock.prepared-') && owner === null)
            continue;
        await (0,promises_.unlink)(file).catch((error) => {
            if (error.code !== 'ENOENT')
                throw error;
        });
    }
}
async function readHolderLeniently(file) {
    try {
        return await readHolder(file);
    }
    catch {
        return null; // Still being written.
    }
}
async function readHolder(file) {
    const text = await (0,system_files/* readText */.yR)(file);
    if (text === null)
        return null;
    try {
        const holder = JSON.parse(text);
        if (typeof holder.token === 'string' && typeof holder.holder.pid === 'number')
            return holder;
    }
    catch {
        // Falls through to the error that names the file.
    }
    throw new errors/* CaretakerError */.xT('lock-unreadable', `failed to read the lock ${file}: it is not one of ours`, {
        hint: `Make sure that no caretaker runs for this project, then remove ${file}.`,
    });
}
function locked(other, file) {
    const { holder } = other;
    const run = other.runUrl === undefined ? '' : ` (${other.runUrl})`;
    const message = `another run holds the lock: ${other.mode}, process ${holder.pid} on ${holder.host}, since ${other.since}${run}`;
    const hint = isElsewhere(holder)
        ? `It runs, or ran, in another container, which can't be seen from here. If it is certainly over, remove ${file}.`
        : 'Wait until it is done, or cancel that run. A lock whose holder has died is taken over by itself.';
    return new errors/* CaretakerError */.xT('locked', message, { hint });
}

;// CONCATENATED MODULE: ./src/modes/status.ts















/**
 * status: what lies and waits on this host, and a warning for each thing that needs a hand. Takes no lock and changes nothing, so it works while another run is at work; what
 * that run has in hand is shown and not warned of. What can't be looked at is a warning, and the rest is told all the same.
 */
async function status_status(tools, settings) {
    const { project, recorder } = tools;
    const { stateDirectory } = project;
    const told = teller(tools);
    const before = await told('Who holds the lock', null, () => lockHolder(stateDirectory));
    const journal = await told('What the journal holds', null, () => unfinishedRun(stateDirectory));
    // A run may have begun or ended meanwhile: its journal is not one that was left.
    const lock = (await lockHolder(stateDirectory).catch(() => null)) ?? before;
    const update = await told('What the last update was', null, () => updateOrNull(stateDirectory));
    const report = {
        lock,
        unfinished: journal === null ? null : inShort(journal),
        lastUpdate: update && { at: update.at, from: update.from, to: update.to, backup: update.backup },
        avoided: await told('Which version is avoided', null, () => avoided(stateDirectory)),
        safety: await told('Which safety backups there are', [], () => safetyBackups(tools, settings, update?.backup)),
        aside: await told('What lies beside the data', [], () => aside(tools, settings, journal)),
        staging: await told('What lies in staging', [], () => entries(tools, 'staging')),
        images: await told('Which images are protected', [], () => protectedNames(project)),
        throwaways: await told('Which throwaways there are', [], () => throwaways(tools)),
        stores: await Promise.all(tools.stores.map((store) => newestIn(store, project.name))),
    };
    for (const line of whatNeedsAHand(report, tools))
        recorder.warn(line);
    return report;
}
function teller({ recorder }) {
    return async (what, otherwise, look) => {
        try {
            return await look();
        }
        catch (error) {
            const isOfALook = error instanceof errors/* CaretakerError */.xT || error instanceof SyntaxError;
            if (!isOfALook || (error instanceof errors/* CaretakerError */.xT && error.code === 'cancelled'))
                throw error;
            recorder.warn(`${what} can't be told: ${(0,errors/* messageOf */.bD)(error)}`);
            return otherwise;
        }
    };
}
async function updateOrNull(stateDirectory) {
    try {
        return await lastUpdate(stateDirectory);
    }
    catch (error) {
        if (error instanceof errors/* CaretakerError */.xT && error.code === 'nothing-to-roll-back')
            return null;
        throw error;
    }
}
function inShort({ run, mode, at, steps, forward }) {
    const undo = steps.filter((step) => step.undo !== null && step.state !== 'undone').map(({ name }) => name);
    const left = forward?.filter(({ done }) => !done).map(({ entry }) => entry.action);
    return { run, mode, at, committed: forward !== null, left: left ?? undo.reverse() };
}
async function safetyBackups({ project, local, clock }, keep, needed) {
    const stays = safetyStays(await local.list(project.name), keep, needed, clock.now());
    return Promise.all(stays.map(async ({ backup, kept }) => {
        const reason = await local.readManifest(backup).then((manifest) => openManifest(manifest).reason, (error) => `its manifest can't be read (${(0,errors/* messageOf */.bD)(error)})`);
        const { name, createdAt, bytes } = backup;
        return { name, createdAt: createdAt.toISOString(), bytes, reason, kept };
    }));
}
/** What runs have made beside the live data, and in them, of this project and no other. */
async function aside(tools, { data }, journal) {
    const { project, stores, local } = tools;
    const folders = [...stores, local].flatMap(({ directory }) => (directory === undefined ? [] : [directory]));
    const nothing = { take: [], leave: [] };
    const plan = await teller(tools)('Where the data lie', nothing, () => planData(project, data, folders));
    const roots = [
        ...plan.take.flatMap((spec) => (spec.type === 'project-files' ? [] : [spec.path])),
        // Data that a half done exchange has taken out of sight.
        ...livePathsIn(journal),
    ];
    if (roots.length === 0)
        return [];
    const found = [];
    for (const place of await project.files.oursAt([...new Set(roots)])) {
        const [named] = roots
            .filter((root) => [external_node_path_default().dirname(root), root].includes(external_node_path_default().dirname(place)))
            .flatMap((root) => placeNamed(external_node_path_default().basename(place), root) ?? []);
        if (named === undefined)
            continue;
        found.push({ path: place, ...named, bytes: (await project.files.scan(place)).bytes });
    }
    return found;
}
function livePathsIn(journal) {
    const undos = (journal?.steps ?? []).map(({ undo }) => undo);
    return undos.flatMap((undo) => {
        const live = undo?.action === 'unswap' ? undo.data.live : undefined;
        return typeof live === 'string' ? [live] : [];
    });
}
/** What lies directly in a folder of the state directory. */
async function entries({ project }, folder) {
    const directory = external_node_path_default().join(project.stateDirectory, folder);
    const names = await (0,promises_.readdir)(directory).catch((error) => {
        if (error.code === 'ENOENT')
            return [];
        throw new errors/* CaretakerError */.xT('file-operation-failed', `failed to list ${directory}: ${(0,errors/* messageOf */.bD)(error)}`, {
            cause: error,
        });
    });
    const found = [];
    for (const name of names.sort()) {
        const place = external_node_path_default().join(directory, name);
        found.push({ path: place, bytes: (await project.files.scan(place)).bytes });
    }
    return found;
}
async function throwaways(tools) {
    const { name: of, engine } = tools.project;
    const labels = { [OF_LABEL]: of };
    const containers = (await engine?.runtime.containers(labels)) ?? [];
    const volumes = (await engine?.runtime.volumes(labels)) ?? [];
    const directories = await entries(tools, 'throwaway');
    const nameOf = (one) => one.labels[THROWAWAY_LABEL] ?? 'unnamed';
    const names = new Set([
        ...[...containers, ...volumes].map(nameOf),
        ...directories.map((one) => external_node_path_default().basename(one.path)),
    ]);
    return [...names].sort().map((name) => {
        const directory = directories.find((one) => external_node_path_default().basename(one.path) === name);
        return {
            name,
            containers: containers.filter((one) => nameOf(one) === name).map((one) => one.name),
            volumes: volumes.filter((one) => nameOf(one) === name).map((one) => one.name),
            directory: directory?.path ?? null,
            bytes: directory?.bytes ?? 0,
        };
    });
}
async function newestIn(store, project) {
    try {
        await store.check('read');
        const backups = await store.list(project);
        const newest = backups[0];
        if (newest === undefined)
            return { store: store.name, backups: 0, newest: null, problem: undefined };
        const { name, createdAt, bytes, proofs } = newest;
        return {
            ...{ store: store.name, backups: backups.length, problem: undefined },
            newest: { name, createdAt: createdAt.toISOString(), bytes, proven: verdict(proofs) },
        };
    }
    catch (error) {
        if (!(error instanceof errors/* CaretakerError */.xT) || error.code === 'cancelled')
            throw error;
        return { store: store.name, backups: 0, newest: null, problem: `${error.message} [${error.code}]` };
    }
}
/** In the order of urgency. What a run has in hand is its own affair. */
function whatNeedsAHand(report, { project }) {
    const { lock, unfinished, lastUpdate: update, safety, aside: left, throwaways: made, stores } = report;
    const lines = [];
    const atWork = lock !== null && lock.state !== 'dead';
    if (lock?.state === 'elsewhere') {
        lines.push(`Whether the ${lock.mode} that holds the lock still runs can't be seen from here: if it is certainly over, remove ${external_node_path_default().join(project.stateDirectory, 'lock')}.`);
    }
    if (!atWork && unfinished !== null) {
        const rest = unfinished.committed
            ? 'after it was in place: what is left is done'
            : 'before it was in place: it is undone';
        lines.push(`The ${unfinished.mode} ${unfinished.run} was cut off ${rest} by the next run that acts. Run "compose-caretaker backup", or follow docs/recovery-by-hand.md.`);
    }
    if (!atWork && unfinished === null) {
        for (const { path: place, kind } of left) {
            lines.push(`${place} (${kind}) was left beside live data, and no run will come back for it: look at it, then remove it by hand. See docs/recovery-by-hand.md.`);
        }
    }
    if (update !== null && !safety.some(({ name }) => name === update.backup)) {
        lines.push(`The safety backup ${update.backup} is not there: the last update can't be rolled back with its data.`);
    }
    for (const { store, newest, problem } of stores) {
        if (problem !== undefined)
            lines.push(`What ${store} holds can't be told: ${problem}`);
        else if (newest === null)
            lines.push(`There is no backup of ${project.name} in ${store}.`);
        else if (newest.proven?.ok === false) {
            lines.push(`The drill of ${newest.name} (${store}) failed on ${newest.proven.at.slice(0, 10)}: do not rely on it.`);
        }
    }
    if (!atWork && unfinished === null)
        for (const one of made)
            lines.push(removal(one, project));
    return lines;
}
function removal({ name, containers, volumes, directory }, { engine: of, files }) {
    const engine = of?.runtime.name ?? '';
    const as = { direct: '', 'podman-unshare': 'podman unshare ', 'helper-container': 'sudo ' }[files.way];
    const commands = [
        ...(containers.length === 0 ? [] : [`${engine} rm --force --volumes ${containers.join(' ')}`]),
        ...(volumes.length === 0 ? [] : [`${engine} volume rm ${volumes.join(' ')}`]),
        ...(directory === null ? [] : [`${as}rm -rf ${quoted(directory)}`]),
    ];
    return `The throwaway ${name} is left of a drill that was cut off. To remove it: ${commands.join('; ')}`;
}

;// CONCATENATED MODULE: ./src/modes/read-proof.ts




/**
 * What the files of a backup's databases tell by themselves, without a server: unpacked one part after the other into a directory of their own, checked, and removed. Needs no engine
 * and nothing of the project.
 */
async function proveFiles(tools, parts, directory, note) {
    const { recorder, log, clock, run } = tools;
    // Whose the files were does not matter here, and only root may give files away.
    const { files: own } = tools.project;
    const files = {
        ...own,
        untar: ((root, options) => own.untar(root, { ...options, owners: false })),
    };
    const project = { ...tools.project, files };
    const place = external_node_path_default().join(project.stateDirectory, 'staging', `${run}-read.caretaker`);
    for (const part of parts) {
        const spec = specOf(part, place);
        if (spec === undefined)
            continue;
        await (0,promises_.mkdir)(place, { recursive: true, mode: 0o700 });
        const source = await createSource(spec, { project, log, clock, run });
        try {
            const lines = await recorder.step(`Check the files of ${part.name}`, async () => {
                for (const swap of await source.stage(part, partReader(directory), run))
                    await project.files.swap(swap);
                return source.proves?.resting?.(part) ?? [];
            });
            note(lines);
        }
        finally {
            await project.files.remove([place]);
        }
    }
}
/** Undefined for what files alone tell nothing of. */
function specOf({ name, kind, method, postgres, origin }, place) {
    if (kind === 'sqlite')
        return { type: 'sqlite', name, path: external_node_path_default().join(place, external_node_path_default().basename(origin.path)), writers: [] };
    if (kind === 'postgres' && method === 'physical') {
        return {
            ...{ type: 'postgres', name, method, path: external_node_path_default().join(place, 'pgdata'), containerPath: '' },
            ...{ service: origin.service ?? '', user: postgres?.user ?? 'postgres' },
        };
    }
    return undefined;
}

;// CONCATENATED MODULE: ./src/modes/verify.ts













/**
 * verify: choose → fetch all and verify → a throwaway with the backup's data → the database servers' own checks → the application, its health and the user's checks → take it away → keep the
 * result beside the backup. What serves is not touched.
 */
async function verify(tools, settings, openFolder) {
    const { project, recorder } = tools;
    const directory = external_node_path_default().join(project.stateDirectory, 'staging', `${tools.run}-fetched`);
    const chosen = await recorder.step('Choose the backup', () => chooseBackup(tools, settings.backup, openFolder, { anywhere: project.bare === true }));
    const { manifest } = chosen;
    const level = settings.proof ?? (project.engine === null ? 'read' : 'databases');
    recorder.sections = { verify: { backup: manifest.name, level, proven: [] } };
    const proven = [];
    const note = (lines) => {
        proven.push(...lines);
        for (const line of lines)
            tools.log.info(`proven: ${line}`);
        recorder.sections = { verify: { backup: manifest.name, level, proven } };
    };
    try {
        await checkRooms(await verify_roomsFor(tools, manifest.parts));
        await recorder.step(`Fetch and verify ${manifest.name}`, () => fetchParts(tools, chosen, manifest.parts, directory));
        note([`every file of ${manifest.parts.length} parts has its digest, unpacks, and is a whole archive`]);
        await (level === 'read'
            ? proveFiles(tools, manifest.parts, directory, note)
            : drill(tools, settings, { chosen, directory, level }, note));
    }
    catch (error) {
        // A throwaway that was ended because of the disk says nothing of the backup.
        const ofDisk = recorder.health?.results.some(({ probe, ok }) => probe === DISK_PROBE && !ok) === true;
        if (error instanceof errors/* CaretakerError */.xT && DISPROVES.includes(error.code) && !ofDisk)
            await keep(false, [...proven, error.message]);
        throw error;
    }
    finally {
        await (0,promises_.rm)(directory, { recursive: true, force: true });
    }
    await keep(true, proven);
    return { chosen, level, proven };
    /** A result that can't be kept is a result all the same. */
    async function keep(ok, lines) {
        const at = tools.clock.now().toISOString();
        const { name, digest } = manifest;
        try {
            await chosen.store.keepProof(chosen.backup, {
                ...{ at, level, ok, backup: name, manifest: digest, lines, caretaker: tools.caretaker },
            });
        }
        catch (error) {
            if (error instanceof errors/* CaretakerError */.xT && error.code === 'cancelled')
                throw error;
            recorder.warn(`The result can't be kept beside the backup: ${(0,errors/* messageOf */.bD)(error)}`);
        }
    }
}
/** What says something of the backup, and not of the machine that looked at it. */
const DISPROVES = [
    'store-damaged',
    'part-damaged',
    'part-hostile',
    'sqlite-damaged',
    'drill-failed',
    'postgres-load-failed',
    'postgres-not-ready',
    'check-failed',
    'unhealthy',
];
async function drill(tools, settings, { chosen, directory, level }, note) {
    const { parts, version } = chosen.manifest;
    const head = await tools.checkout?.head();
    if (version.commit !== null && head !== undefined && head.commit !== version.commit) {
        tools.recorder.warn(`The backup is of ${version.tag ?? version.describe ?? version.commit}; it is tried with the images of ${head.tag ?? head.describe ?? head.commit}, which is deployed.`);
    }
    const options = { parts, directory, outside: settings.throwawayNetwork === 'open', health: settings.health };
    await withThrowaway(tools, options, async (throwaway) => {
        await proveDatabases(throwaway, directory, note);
        if (level === 'application')
            note([await proveApplication(throwaway.tools, settings)]);
        await proveChecks(throwaway, settings.checks, note);
    });
}
async function proveApplication(tools, settings) {
    await tools.recorder.step('Bring the application up', () => bringUp(tools));
    const { results, firstHealthySeconds = 0 } = await becomeHealthy(tools, settings);
    const seen = results.map(({ probe, detail }) => `${probe}: ${detail}`).join('; ');
    return `the application came up on it, healthy after ${Math.round(firstHealthySeconds)} s: ${seen}`;
}
/** What is fetched, and what is unpacked of it. */
async function verify_roomsFor({ project }, parts) {
    await (0,promises_.mkdir)(project.stateDirectory, { recursive: true, mode: 0o700 });
    const directory = project.stateDirectory;
    const rooms = [{ directory, bytes: sizeOf(parts, 'bytes'), what: 'the files of the backup' }];
    rooms.push({ directory, bytes: sizeOf(dataParts(parts), 'rawBytes'), what: 'its data, unpacked' });
    return rooms;
}

;// CONCATENATED MODULE: ./src/system/text-tail.ts

/** Keeps the last `limit` bytes of what it is given, in at most twice as much memory. */
class TextTail {
    #limit;
    #buffer = Buffer.alloc(0);
    #used = 0;
    #cut = false;
    constructor(limit) {
        this.#limit = limit;
    }
    push(chunk) {
        const kept = chunk.length > this.#limit ? chunk.subarray(chunk.length - this.#limit) : chunk;
        if (kept !== chunk)
            this.#cut = true;
        if (this.#used + kept.length > this.#buffer.length)
            this.#makeRoom(kept.length);
        this.#buffer.set(kept, this.#used);
        this.#used += kept.length;
    }
    #makeRoom(bytes) {
        if (this.#used > this.#limit)
            this.#cut = true;
        const old = this.#buffer.subarray(Math.max(0, this.#used - this.#limit), this.#used);
        const size = Math.min(2 * this.#limit, Math.max(4096, 2 * (old.length + bytes)));
        const next = Buffer.alloc(size);
        next.set(old);
        this.#buffer = next;
        this.#used = old.length;
    }
    text() {
        let from = Math.max(0, this.#used - this.#limit);
        // Where the beginning was cut, not in the middle of a character.
        if (from > 0 || this.#cut)
            while (from < this.#used && ((this.#buffer[from] ?? 0) & 0xc0) === 0x80)
                from++;
        return this.#buffer.toString('utf8', from, this.#used);
    }
}
/** A line that never ends comes in pieces, so that memory stays bounded. */
const LONGEST_LINE = 64 * 1024;
/** Cuts bytes into lines, without their `\n` or `\r\n`. */
class LineCutter {
    #onLine;
    #decoder = new external_node_string_decoder_.StringDecoder('utf8');
    #rest = '';
    constructor(onLine) {
        this.#onLine = onLine;
    }
    push(chunk) {
        const pieces = (this.#rest + this.#decoder.write(chunk)).split('\n');
        this.#rest = pieces.pop() ?? '';
        for (const piece of pieces)
            this.#onLine(piece.endsWith('\r') ? piece.slice(0, -1) : piece);
        if (this.#rest.length > LONGEST_LINE)
            this.#flush();
    }
    end() {
        this.#rest += this.#decoder.end();
        if (this.#rest !== '')
            this.#flush();
    }
    #flush() {
        const line = this.#rest;
        this.#rest = '';
        this.#onLine(line);
    }
}
/** The last lines of a text, for an error's message. */
function lastLines(text, lines = 15, characters = 2000) {
    return text.trimEnd().split('\n').slice(-lines).join('\n').slice(-characters);
}
/** Shorter values ("1", "no") are no secrets, and blotting them out would make every text unreadable. */
const SHORTEST_SECRET = 4;
/** Blots out the values of an environment, whole and line by line. */
function redactor(env) {
    const secrets = Object.values(env ?? {})
        .flatMap((value) => [value, ...value.split('\n')])
        .filter((value) => value.length >= SHORTEST_SECRET)
        .sort((one, other) => other.length - one.length);
    return (text) => secrets.reduce((clean, secret) => clean.replaceAll(secret, '***'), text);
}

;// CONCATENATED MODULE: ./src/cache/workflow-cache.ts


/** The exit code of the client for "no, and nothing is wrong". */
const NO = 3;
/**
 * The workflow's cache. GitHub's client runs in a process of its own (see actions-cache.ts beside the entries), since it finds its files from the current directory,
 * unpacks with `tar --absolute-names` into whatever place the archive names, prints workflow commands, and can wait without an end.
 */
function createWorkflowCache(options) {
    const { processes, env, node, client, timeoutMs, signal } = options;
    const ask = async (operation, { key, folder, files }) => {
        const problems = [];
        const onLine = (line) => {
            // What the client warns of is why it says no; it does not throw it.
            const told = /^::(?:warning|error)(?: [^:]*)?::(.*)$/.exec(line);
            if (told !== null)
                problems.push((told[1] ?? '').replaceAll(/%0[AD]/g, ' ').replaceAll('%25', '%'));
        };
        try {
            const { exitCode, stderr } = await processes.run({
                argv: [node, '--no-warnings', client, operation, key, ...files],
                cwd: folder,
                env: {
                    // Where the client looks for files, and where it puts its own archive.
                    ...{ GITHUB_WORKSPACE: folder, RUNNER_TEMP: folder },
                    // GNU tar: whatever a member is called, it lands in this folder under its last name.
                    ...(operation === 'find'
                        ? { TAR_OPTIONS: '--transform=s,.*/,,g --no-same-owner --no-same-permissions' }
                        : {}),
                },
            }, { accept: [0, 1, NO], timeoutMs, signal, onLine });
            if (exitCode === 0)
                return { ok: true };
            if (exitCode !== NO && problems.length === 0)
                problems.push(lastLines(stderr) || `the client ended with code ${exitCode}`);
        }
        catch (error) {
            if (error instanceof errors/* CaretakerError */.xT && error.code === 'cancelled')
                throw error;
            problems.push((0,errors/* messageOf */.bD)(error));
        }
        return { ok: false, ...(problems.length === 0 ? {} : { problem: problems.join('; ') }) };
    };
    return {
        available: Boolean(env['ACTIONS_RESULTS_URL'] ?? env['ACTIONS_CACHE_URL']) && Boolean(env['ACTIONS_RUNTIME_TOKEN']),
        has: (entry) => ask('has', entry),
        find: (entry) => ask('find', entry),
        keep: (entry) => ask('keep', entry),
    };
}

;// CONCATENATED MODULE: ./src/health/command.ts

/** Passes when the command ends with 0. */
function commandProbe({ run, cwd, runAuthorCommand, timeoutMs = 60_000, signal }) {
    return {
        name: run,
        async check() {
            try {
                const { exitCode, tail } = await runAuthorCommand(run, {
                    cwd,
                    timeoutMs,
                    ...(signal === undefined ? {} : { signal }),
                });
                const said = tail.trim().split('\n').at(-1) ?? '';
                return exitCode === 0
                    ? { ok: true, detail: 'ended with code 0' }
                    : { ok: false, detail: `ended with code ${exitCode}${said === '' ? '' : `: ${said}`}` };
            }
            catch (error) {
                return { ok: false, detail: (0,errors/* messageOf */.bD)(error) };
            }
        },
    };
}

;// CONCATENATED MODULE: ./src/health/http.ts
const BODY_READ = 1024 * 1024;
/** Asks an address as a browser would, following redirects. */
function httpProbe(options) {
    const { url, status = 200, contains, timeoutMs = 10_000, signal } = options;
    return { name: url, check };
    async function check() {
        const timeout = AbortSignal.timeout(timeoutMs);
        try {
            const response = await fetch(url, {
                redirect: status === '<500' || (status >= 300 && status < 400) ? 'manual' : 'follow',
                signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
                headers: { 'user-agent': 'compose-caretaker' },
            });
            const text = await bodyOf(response);
            const where = response.redirected ? ` (at ${response.url})` : '';
            const right = status === '<500' ? response.status < 500 : response.status === status;
            if (!right)
                return { ok: false, detail: `${response.status} instead of ${status}${where}` };
            if (contains !== undefined && !text.includes(contains)) {
                return { ok: false, detail: `${response.status}, but without the text "${contains}"${where}` };
            }
            return { ok: true, detail: `${response.status}${where}` };
        }
        catch (error) {
            return { ok: false, detail: timeout.aborted ? `no answer within ${timeoutMs / 1000} s` : reasonOf(error) };
        }
    }
}
async function bodyOf(response) {
    const decoder = new TextDecoder();
    let text = '';
    let read = 0;
    // Leaving the loop cancels the rest.
    for await (const chunk of response.body ?? []) {
        text += decoder.decode(chunk, { stream: true });
        read += chunk.length;
        if (read >= BODY_READ)
            break;
    }
    return text;
}
/** Fetch itself says "fetch failed"; what happened (ECONNREFUSED, a certificate) is in the causes. */
function reasonOf(error) {
    let reason = String(error);
    for (let at = error; at !== undefined && at !== null; at = at.cause) {
        const { code, message } = at.errors?.[0] ?? at;
        if (message === undefined || message === '')
            continue;
        reason = code === undefined || message.includes(code) ? message : `${message} (${code})`;
    }
    return reason;
}

;// CONCATENATED MODULE: ./src/health/published-ports.ts

/** Long enough for a page, short enough to be asked again. */
const TIMEOUT_MS = 5_000;
/**
 * Probes for the published ports at which a web server answers now, for a user who named no address: a version under which one of them falls silent or
 * answers with a server's error is not healthy, whatever its container says. A port that does not speak HTTP makes no probe.
 */
async function publishedPortProbes(containers) {
    const urls = new Set(containers
        .filter(({ state, oneOff }) => state === 'running' && !oneOff)
        .flatMap(({ ports }) => ports.filter(({ protocol }) => protocol === 'tcp').map(urlOf)));
    const probes = [...urls].map((url) => ({
        ...httpProbe({ url, status: '<500', timeoutMs: TIMEOUT_MS }),
        shallow: true,
    }));
    const answering = await Promise.all(probes.map(async (probe) => (await probe.check()).ok));
    return probes.filter((_, index) => answering[index]);
}
function urlOf({ hostIp, hostPort }) {
    const everywhere = hostIp === '' || hostIp === '0.0.0.0' || hostIp === '::';
    const host = everywhere ? '127.0.0.1' : hostIp.includes(':') ? `[${hostIp}]` : hostIp;
    return `http://${host}:${hostPort}/`;
}

;// CONCATENATED MODULE: ./src/project/bare-project.ts

/** A project known by its name alone, where nothing of it runs or is to be looked at: a machine that only reads its backups. */
function createBareProject(name, directory, files) {
    const none = () => Promise.reject(new TypeError(`nothing of ${name} is on this machine`));
    return {
        ...{ name, directory, files, engine: null, bare: true },
        stateDirectory: (0,external_node_path_.join)(directory, '.caretaker'),
        services: () => Promise.resolve([]),
        containers: () => Promise.resolve([]),
        running: () => Promise.resolve(false),
        configurationFiles: () => Promise.resolve([]),
        lastWords: () => Promise.resolve([]),
        stop: () => Promise.resolve([]),
        ...{ start: none, up: none, look: none },
    };
}

;// CONCATENATED MODULE: ./src/project/command-project.ts


const service = 'application';
const statusTimeoutMs = 60_000;
/** An application run by systemd or by hand: three commands stand in for Compose, and there is one service, `application`. */
function createCommandProject(options, deps) {
    const cwd = options.directory;
    async function status() {
        if (options.statusCommand === undefined)
            return { running: true, detail: 'no status-command', tail: '' };
        const { exitCode, tail } = await deps.run(options.statusCommand, { cwd, timeoutMs: statusTimeoutMs });
        // The shell's own codes: the command could not be run, so it has not answered the question.
        if (exitCode === 126 || exitCode === 127)
            throw commandFailed('status-command', options.statusCommand, exitCode, tail);
        return { running: exitCode === 0, detail: `status-command: exit code ${exitCode}`, tail };
    }
    async function act(input, text) {
        await deps.log.group(input, async () => {
            const { exitCode, tail } = await deps.run(text, {
                cwd,
                // What it starts must live on when the job ends.
                outlivesJob: input === 'start-command',
                onLine: (line) => deps.log.info(line),
            });
            if (exitCode !== 0)
                throw commandFailed(input, text, exitCode, tail);
        });
    }
    const concerned = (services) => services === undefined || services.includes(service);
    const start = async (services) => {
        if (concerned(services))
            await act('start-command', options.startCommand);
    };
    return {
        name: options.name ?? (0,external_node_path_.basename)(options.directory),
        directory: options.directory,
        stateDirectory: (0,external_node_path_.join)(options.directory, '.caretaker'),
        files: deps.files,
        engine: null,
        services: () => Promise.resolve([service]),
        containers: () => Promise.resolve([]),
        running: async () => (await status()).running,
        async stop(services) {
            if (!concerned(services) || !(await status()).running)
                return [];
            await act('stop-command', options.stopCommand);
            return [service];
        },
        start,
        up: start,
        async look() {
            const { running, detail } = await status();
            return { ok: running, detail };
        },
        async lastWords() {
            const { running, tail } = await status();
            return [{ service, state: running ? 'running' : 'stopped', text: tail }];
        },
        configurationFiles: () => Promise.resolve([]),
    };
}
function commandFailed(input, text, exitCode, tail) {
    const words = tail.trim() === '' ? '' : `: ${tail.trim()}`;
    return new errors/* CaretakerError */.xT('author-command-failed', `failed to run ${input} "${text}": exit code ${exitCode}${words}`, {
        hint: `Run the command by hand in the project directory; ${input} must end with exit code 0 when it did its work.`,
        input,
    });
}

;// CONCATENATED MODULE: ./src/compose/dialects.ts


/** In the order of preference where a project tells nothing. */
const table = [
    {
        name: 'docker-compose-v2',
        runtime: 'docker',
        argv: ['docker', 'compose'],
        versionArgv: ['docker', 'compose', 'version', '--short'],
        // v1 has no such subcommand of docker; whatever counts on from 2 keeps its command line.
        version: (output) => /^v?((?:[2-9]|\d{2,})\.\d+\.\d+\S*)/m.exec(output)?.[1],
        capabilities: () => ({
            config: 'json',
            upRecreatesChanged: true,
            pull: true,
            build: true,
            profiles: true,
            envFiles: 'many',
            comparesConfiguration: true,
            imageSeparator: '-',
            reliableExitCodes: true,
        }),
    },
    {
        name: 'podman-compose',
        runtime: 'podman',
        argv: ['podman-compose'],
        versionArgv: ['podman-compose', 'version'],
        // 1.0.3 calls itself "podman-composer version".
        version: (output) => /podman-composer? version\s+v?(\d+\.\d+\.\d+\S*)/.exec(output)?.[1],
        // Read in the sources of 1.0.3, 1.0.6, 1.1.0 and later up to 1.6.0. The hash is the whole project's before 1.6, so that `up` makes
        // everything anew; before 1.0.6 it is the constant 123. No version puts the contents of an env_file into it.
        capabilities: (version) => {
            const since106 = atLeast(version, [1, 0, 6]);
            const since110 = atLeast(version, [1, 1, 0]);
            return {
                config: since106 ? 'yaml' : 'none',
                upRecreatesChanged: false,
                pull: true,
                build: true,
                profiles: since110,
                envFiles: since106 ? 'one' : 'none',
                comparesConfiguration: since106,
                imageSeparator: '_',
                reliableExitCodes: since110,
            };
        },
    },
];
const dialectNames = table.map((row) => row.name);
/**
 * The dialects whose program answers on this machine, in the order of preference. Asks programs for their version and
 * nothing else; whether the engine below answers is the runtimes' affair.
 */
async function detectDialects(processes) {
    const found = await Promise.all(table.map((row) => detect(row, processes)));
    return found.filter((dialect) => dialect !== undefined);
}
async function detect(row, processes) {
    let output;
    try {
        output = (await processes.run({ argv: row.versionArgv, env: composeEnv(row) }, { timeoutMs: 30_000 })).stdout;
    }
    catch (error) {
        // No such program, or docker without the plugin: that is the answer "not here".
        if (error instanceof errors/* CaretakerError */.xT && ['command-missing', 'command-failed'].includes(error.code))
            return undefined;
        throw error;
    }
    const version = row.version(output);
    if (version === undefined)
        return undefined;
    return {
        name: row.name,
        runtime: row.runtime,
        argv: row.argv,
        version,
        capabilities: row.capabilities(version),
    };
}
function atLeast(version, wanted) {
    const parts = version.split(/[^\d]+/).map(Number);
    for (const [index, part] of wanted.entries()) {
        const have = parts[index] ?? 0;
        if (have !== part)
            return have > part;
    }
    return true;
}

;// CONCATENATED MODULE: ./src/project/discover.ts








const workingDirectoryLabel = 'com.docker.compose.project.working_dir';
const configFilesLabel = 'com.docker.compose.project.config_files';
const environmentFileLabel = 'com.docker.compose.project.environment_file';
/**
 * Finds the project of a directory and the engine that runs it now. Looks, and has no effect. Throws `directory-missing`, `no-engine`,
 * `engine-missing`, `engine-ambiguous`, `project-ambiguous`, `compose-file-missing`, `compose-file-invalid`, `env-file-missing`,
 * `env-files-unsupported`, `profiles-unsupported`, `project-name-invalid`.
 */
async function discoverProject(options, deps) {
    const directory = await realDirectory(options.directory);
    const engines = await enginesFor(options.engine, deps);
    const given = await existingComposeFiles(options.composeFiles, directory);
    const envFiles = options.envFiles.map((file) => (0,external_node_path_.resolve)(directory, file));
    const found = await findContainers(engines, directory, given, envFiles, options, deps);
    const chosen = choose(found, options.projectName);
    const { dialect, runtime } = chosen ?? (await engineOfFiles(engines, directory, given, deps));
    const files = given.length > 0
        ? given
        : ((await filesOfContainers(chosen?.containers ?? [], directory)) ??
            (await defaultFiles(dialect, directory, deps.environment)));
    if (files.length === 0)
        throw composeFileMissing(`failed to find a compose file in ${directory}`);
    const envFilesNow = envFiles.length > 0 ? envFiles : await envFilesOfContainers(chosen?.containers ?? [], read_model_projectDirectoryOf(files));
    refuseUnsupported(dialect, envFilesNow, options.profiles);
    const variables = await readEnvFiles(dialect, { files, envFiles: envFilesNow }, deps.environment);
    const name = chosen?.name ??
        options.projectName ??
        (await projectNameOf(dialect, files, read_model_projectDirectoryOf(files), deps.environment, variables));
    const profiles = options.profiles.length > 0
        ? options.profiles
        : await profilesInUse(dialect, files, chosen?.containers ?? [], deps.log);
    const compose = createCompose(dialect, { files, projectName: name, profiles, envFiles: envFilesNow }, { ...deps, runtime });
    deps.log.info(`Project ${name} in ${directory}: ${dialect.name} ${dialect.version}, ${files.map((file) => file.replace(`${directory}/`, '')).join(', ')}`);
    return createComposeProject({
        name,
        directory,
        files: await deps.hostFiles(runtime, directory),
        runtime,
        compose,
        envFiles: envFilesNow,
        environment: deps.environment,
    });
}
async function realDirectory(path) {
    try {
        return await (0,promises_.realpath)(path);
    }
    catch (error) {
        throw new errors/* CaretakerError */.xT('directory-missing', `failed to enter the project directory ${path}: ${(0,errors/* messageOf */.bD)(error)}`, {
            hint: 'Set project-directory to the directory that holds the compose file on this machine.',
            input: 'project-directory',
            cause: error,
        });
    }
}
async function enginesFor(wanted, deps) {
    if (wanted !== 'auto' && !dialectNames.some((name) => name === wanted)) {
        throw new errors/* CaretakerError */.xT('engine-missing', `failed to use the engine ${wanted}: there is no such engine`, {
            hint: `Set engine to auto or one of ${dialectNames.join(', ')}.`,
            input: 'engine',
        });
    }
    const [dialects, runtimes] = await Promise.all([detectDialects(deps.processes), deps.runtimes()]);
    const engines = dialects.flatMap((dialect) => {
        const runtime = runtimes.find((candidate) => candidate.name === dialect.runtime);
        return runtime === undefined ? [] : [{ dialect, runtime }];
    });
    if (wanted !== 'auto') {
        const asked = engines.filter(({ dialect }) => dialect.name === wanted);
        if (asked.length > 0)
            return asked;
        throw new errors/* CaretakerError */.xT('engine-missing', `failed to use the engine ${wanted}: it does not answer on this machine`, {
            hint: 'Install it, start its daemon, and let the user who runs this reach it.',
            input: 'engine',
        });
    }
    if (engines.length > 0)
        return engines;
    const programs = dialects.map((dialect) => dialect.name);
    throw new errors/* CaretakerError */.xT('no-engine', programs.length > 0
        ? `failed to reach a container engine: ${programs.join(' and ')} is here, but the engine below does not answer to this user`
        : `failed to find a Compose implementation: neither docker compose nor podman-compose answers (${runtimes.length} engines do)`, {
        hint: 'Install Docker Compose or podman-compose, let the runner’s user reach the engine, or set start-command and stop-command for an application without containers.',
        input: 'engine',
    });
}
/**
 * Containers carry the directory they were made in: as the user wrote it under Docker, resolved under podman-compose, and that of the compose
 * file when it lies deeper. Where there is no such label the project's name counts.
 */
async function findContainers(engines, directory, given, envFiles, options, deps) {
    const directories = [
        ...new Set([directory, (0,external_node_path_.resolve)(options.directory), ...given.slice(0, 1).flatMap((file) => [(0,external_node_path_.dirname)(file)])]),
    ];
    const result = [];
    for (const engine of engines) {
        let containers = [];
        for (const path of directories)
            containers.push(...(await engine.runtime.containers({ [workingDirectoryLabel]: path })));
        if (containers.length === 0) {
            const name = options.projectName ?? (await likelyName(engine.dialect, directory, given, envFiles, deps.environment));
            if (name !== undefined) {
                const named = await engine.runtime.containers({ [projectLabel]: name });
                // With the label, and another directory in it, it is somebody else's project of the same name, unless the user said this name.
                containers = named.filter((container) => options.projectName !== undefined || container.labels[workingDirectoryLabel] === undefined);
            }
        }
        const byName = Map.groupBy(containers.filter((container) => !container.oneOff), (container) => container.labels[projectLabel] ?? '');
        for (const [name, own] of byName) {
            if (name === '')
                continue;
            result.push({
                ...engine,
                name,
                containers: own,
                running: own.some((container) => ['running', 'restarting', 'paused'].includes(container.state)),
            });
        }
    }
    return result;
}
async function likelyName(dialect, directory, given, envFiles, environment) {
    const files = given.length > 0 ? given : await defaultFiles(dialect, directory, environment);
    if (files.length === 0)
        return undefined;
    const variables = await readEnvFiles(dialect, { files, envFiles }, environment);
    return projectNameOf(dialect, files, read_model_projectDirectoryOf(files), environment, variables);
}
/** What runs wins over what stands still. Two that are equal are the user's to choose from: a guess would stop or start the wrong one. */
function choose(found, projectName) {
    const named = found.filter((candidate) => projectName === undefined || candidate.name === projectName);
    const running = named.filter((candidate) => candidate.running);
    const candidates = running.length > 0 ? running : named;
    const [first, second] = candidates;
    if (first === undefined || second === undefined)
        return first;
    const what = `${running.length > 0 ? 'running' : 'stopped'} containers`;
    const engines = [...new Set(candidates.map(({ dialect }) => dialect.name))];
    if (engines.length > 1) {
        throw new errors/* CaretakerError */.xT('engine-ambiguous', `failed to choose an engine: ${engines.join(' and ')} both have ${what} of this project`, {
            hint: 'Set engine to the one that serves, or remove the containers of the other.',
            input: 'engine',
        });
    }
    const names = candidates.map((candidate) => candidate.name);
    throw new errors/* CaretakerError */.xT('project-ambiguous', `failed to choose a project: ${names.join(' and ')} both have ${what} made in this directory`, {
        hint: 'Set project-name to the one that is meant.',
        input: 'project-name',
    });
}
/** Nothing exists yet: the first engine that finds a compose file here. */
async function engineOfFiles(engines, directory, given, deps) {
    for (const engine of engines) {
        if (given.length > 0 || (await defaultFiles(engine.dialect, directory, deps.environment)).length > 0)
            return engine;
    }
    throw composeFileMissing(`failed to find a compose file in ${directory}`);
}
async function defaultFiles(dialect, directory, environment) {
    const variables = await readEnvFiles(dialect, { files: [(0,external_node_path_.resolve)(directory, 'compose.yaml')], envFiles: [] }, environment);
    return defaultComposeFiles(dialect, directory, environment, variables);
}
/** The files that the containers were made from, when they are all still there; the running ones' word counts first. */
async function filesOfContainers(containers, directory) {
    const container = containers.find((candidate) => candidate.state === 'running') ?? containers[0];
    const label = container?.labels[configFilesLabel];
    if (container === undefined || label === undefined || label === '')
        return undefined;
    // podman-compose writes them as they were given, relative to where the administrator stood.
    for (const base of [container.labels[workingDirectoryLabel] ?? directory, directory]) {
        const paths = label.split(',').map((file) => (0,external_node_path_.resolve)(base, file));
        const there = await Promise.all(paths.map(exists));
        if (there.every(Boolean))
            return paths;
    }
    return undefined;
}
/** Docker Compose notes the env files that it was given; `.env` is no news. */
async function envFilesOfContainers(containers, directory) {
    const container = containers.find((candidate) => candidate.state === 'running') ?? containers[0];
    const files = (container?.labels[environmentFileLabel] ?? '').split(',').filter((file) => file !== '');
    // Not `resolve(directory, '.env')`: ncc takes that for an asset of the bundle, and rewrites it.
    const isStandard = (file) => (0,external_node_path_.basename)(file) === '.env' && (0,external_node_path_.dirname)((0,external_node_path_.resolve)(directory, file)) === directory;
    if (files.every(isStandard))
        return [];
    const paths = files.map((file) => (0,external_node_path_.resolve)(directory, file));
    const there = await Promise.all(paths.map(exists));
    return there.every(Boolean) ? paths : [];
}
function refuseUnsupported(dialect, envFiles, profiles) {
    const most = { none: 0, one: 1, many: Infinity }[dialect.capabilities.envFiles];
    if (envFiles.length > most) {
        throw new errors/* CaretakerError */.xT('env-files-unsupported', `failed to use ${envFiles.length} env files: ${dialect.name} ${dialect.version} takes ${most === 0 ? 'none but .env' : 'only one'}`, {
            hint: 'Put the variables into .env beside the compose file, or install a newer podman-compose.',
            input: 'env-files',
        });
    }
    if (profiles.length > 0 && !dialect.capabilities.profiles) {
        throw new errors/* CaretakerError */.xT('profiles-unsupported', `failed to use profiles: ${dialect.name} ${dialect.version} does not know them and starts every service`, {
            hint: 'Leave profiles empty, or install a newer podman-compose.',
            input: 'profiles',
        });
    }
}
/** The profiles without which `up` would leave services standing that run now. */
async function profilesInUse(dialect, files, containers, log) {
    if (!dialect.capabilities.profiles)
        return [];
    const profiles = new Set();
    for (const [service, own] of await readProfiles(files)) {
        const [first] = own;
        const runs = containers.some((container) => container.service === service && container.state === 'running');
        if (first === undefined || !runs || own.some((profile) => profiles.has(profile)))
            continue;
        log.info(`The profile ${first} is active: its service ${service} runs`);
        profiles.add(first);
    }
    return [...profiles];
}

;// CONCATENATED MODULE: ./src/runtimes/containers.ts

/** The JSON list that `docker container inspect` or `podman container inspect` prints. Throws `engine-failed` for anything else. */
function parseContainers(json, engine) {
    return parseInspected(json, engine).map(toContainer);
}
/** A container's own health check as an argv to run in it, with its timeout; null where it has none. */
function parseHealthCheck(json, engine) {
    const config = parseInspected(json, engine)[0]?.Config;
    const [kind, ...words] = config?.Healthcheck?.Test ?? [];
    const nanoseconds = config?.Healthcheck?.Timeout ?? 0;
    // 0 stands for Docker's default.
    const timeoutMs = nanoseconds > 0 ? Math.ceil(nanoseconds / 1e6) : 30_000;
    if (kind === 'CMD')
        return { argv: words, timeoutMs };
    if (kind === 'CMD-SHELL')
        return { argv: [...(config?.Shell ?? ['/bin/sh', '-c']), words.join(' ')], timeoutMs };
    return null;
}
function parseInspected(json, engine) {
    try {
        return JSON.parse(json);
    }
    catch (error) {
        throw new errors/* CaretakerError */.xT('engine-failed', `failed to read what ${engine} says of its containers: it is not JSON`, {
            hint: `Run "${engine} inspect" of one of them by hand; a wrapper around ${engine} may print texts of its own.`,
            cause: error,
        });
    }
}
function toContainer(raw) {
    const labels = raw.Config.Labels ?? {};
    // Docker puts a slash before it.
    const name = raw.Name.replace(/^\//, '');
    const state = containers_stateOf(raw.State.Status, raw.HostConfig?.RestartPolicy?.Name ?? '');
    return {
        id: raw.Id,
        name,
        labels,
        service: labels['com.docker.compose.service'] ?? name,
        state,
        // Both say 0 while it runs and where it never ran.
        exitCode: ['stopped', 'restarting', 'dead'].includes(state) ? raw.State.ExitCode : undefined,
        restartCount: raw.RestartCount ?? 0,
        startedAt: instant(raw.State.StartedAt),
        health: healthOf(raw),
        imageName: raw.ImageName ?? raw.Config.Image,
        imageId: withAlgorithm(raw.Image),
        mounts: (raw.Mounts ?? []).map((mount) => {
            const type = mount.Type === 'bind' || mount.Type === 'volume' || mount.Type === 'tmpfs' ? mount.Type : 'other';
            return {
                type,
                volume: type === 'volume' ? mount.Name : undefined,
                source: mount.Source,
                target: mount.Destination,
                writable: mount.RW,
            };
        }),
        ports: portsOf(raw),
        env: Object.fromEntries((raw.Config.Env ?? []).map(splitVariable)),
        command: [...(raw.Path === undefined || raw.Path === '' ? [] : [raw.Path]), ...(raw.Args ?? [])],
        user: raw.Config.User ?? '',
        // Docker Compose writes True and False.
        oneOff: labels['com.docker.compose.oneoff']?.toLowerCase() === 'true',
        pid: (raw.State.Pid ?? 0) > 0 ? raw.State.Pid : undefined,
    };
}
/**
 * The last lines of the end of a log file that conmon writes: `TIME STREAM P|F TEXT`, where P is a piece of a line that was not complete yet.
 * `whole`: false where the beginning was cut off, and with it the first line.
 */
function parseLogFile(text, lines, whole) {
    const found = [];
    const unfinished = new Map();
    for (const entry of text.split('\n').slice(whole ? 0 : 1)) {
        const [, stream, flag, said] = /^\S+ (stdout|stderr) ([FP]) ?([^]*)$/.exec(entry) ?? [];
        if (stream === undefined || said === undefined)
            continue;
        const line = (unfinished.get(stream) ?? '') + said;
        unfinished.delete(stream);
        if (flag === 'P')
            unfinished.set(stream, line);
        else
            found.push(line);
    }
    return [...found, ...unfinished.values()].slice(-lines).join('\n');
}
/** Podman gives ids without the algorithm. */
function withAlgorithm(id) {
    return id.includes(':') ? id : `sha256:${id}`;
}
function containers_stateOf(status, restartPolicy) {
    switch (status) {
        case 'running':
        case 'paused':
        case 'restarting':
            return status;
        // On its way down, but its processes still write.
        case 'stopping':
            return 'running';
        case 'created':
        case 'configured':
        case 'initialized':
            return 'created';
        case 'dead':
        case 'removing':
            return 'dead';
        // Podman's word for the moment between a process's end and what follows; at last it is `exited`. It has no `restarting`.
        case 'stopped':
            return ['', 'no'].includes(restartPolicy) ? 'stopped' : 'restarting';
        default:
            return 'stopped';
    }
}
function healthOf(raw) {
    const test = raw.Config.Healthcheck?.Test ?? [];
    if (test.length === 0 || test[0] === 'NONE')
        return null;
    const status = (raw.State.Health ?? raw.State.Healthcheck)?.Status;
    // Podman says '' before the first start, and for ever where nothing runs its checks.
    return status === 'healthy' || status === 'unhealthy' ? status : 'starting';
}
/** Docker forgets the ports of a container that does not run; they come back with it, so its configuration tells them. */
function portsOf(raw) {
    const now = containers_publishedPorts(raw.NetworkSettings?.Ports ?? {});
    return now.length > 0 ? now : containers_publishedPorts(raw.HostConfig?.PortBindings ?? {});
}
function containers_publishedPorts(ports) {
    return Object.entries(ports).flatMap(([key, bindings]) => {
        const [port, protocol = 'tcp'] = key.split('/');
        if (protocol !== 'tcp' && protocol !== 'udp')
            return [];
        return (bindings ?? [])
            .filter((binding) => Number(binding.HostPort) > 0)
            .map((binding) => ({
            hostIp: binding.HostIp === '' ? '0.0.0.0' : binding.HostIp,
            hostPort: Number(binding.HostPort),
            containerPort: Number(port),
            protocol,
        }));
    });
}
function splitVariable(variable) {
    const at = variable.indexOf('=');
    return at === -1 ? [variable, ''] : [variable.slice(0, at), variable.slice(at + 1)];
}
function instant(text) {
    // Go's zero time: never.
    if (text === undefined || text === '' || text.startsWith('0001-'))
        return undefined;
    const date = new Date(text);
    return Number.isNaN(date.getTime()) ? undefined : date.toISOString();
}

;// CONCATENATED MODULE: ./src/runtimes/helper-container.ts




/** Made here out of nothing, never pulled. A new content gets a new number. */
const HELPER_IMAGE = 'compose-caretaker/helper:1';
const HELPER_LABEL = 'compose-caretaker.helper';
/** Two empty blocks: an archive of nothing. */
const EMPTY_TAR = '\0'.repeat(1024);
/** What programs of the host need to run, as far as a host has it. */
const SYSTEM = [
    ...['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'],
    ...['/etc/ld.so.cache', '/etc/ld.so.conf', '/etc/ld.so.conf.d', '/etc/passwd', '/etc/group', '/etc/alternatives'],
];
/** Reading and writing other users' files with owners, modes, devices and capabilities; nothing else of what root may do. */
const CAPABILITIES = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'MKNOD', 'SETFCAP'];
/**
 * The way of a member of group docker: the host's own programs as root, in a container of an empty image without network, with the host's
 * /usr read-only and the directories in question. `programs`: directories of the Node binary and the agent.
 */
function helperContainer(runtime, processes, programs) {
    let system;
    return {
        name: 'helper-container',
        async wrap(argv, paths, absent, network) {
            system ??= systemMounts(programs);
            // Each time: a prune may take an image that no container uses.
            const image = (await runtime.imageId(HELPER_IMAGE)) ?? (await importHelper(processes, runtime));
            const places = await Promise.all(paths.map((path) => placesOf(path, absent)));
            const data = outermost(places.flat()).map((path) => ({ source: path, target: path, writable: true }));
            const name = `caretaker-helper-${(0,external_node_crypto_.randomUUID)()}`;
            return {
                command: { argv: helperArgv(name, image, [...(await system), ...data], argv, network?.id) },
                // The client's end is not the container's.
                end: async () => {
                    await processes.run({ argv: ['docker', 'rm', '--force', name] }, { accept: [0, 1] });
                },
            };
        },
    };
}
/** Pure: `docker run` of the helper; in the network of a container, where its id is given, and else in none. */
function helperArgv(name, image, mounts, argv, container) {
    return [
        'docker',
        ...confined(name, mounts, CAPABILITIES, container === undefined ? 'none' : `container:${container}`),
        ...['--interactive', '--env', 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        image,
        ...argv,
    ];
}
/** Pure: the arguments, for either engine, of a container of our own that can reach nothing but what it is given. The image and what it runs are to follow. */
function confined(name, mounts, capabilities, network = 'none') {
    const last = new Map(mounts.map((mount) => [mount.target, mount]));
    return [
        ...['run', '--rm', '--name', name, '--label', HELPER_LABEL],
        ...['--pull', 'never', '--network', network, '--read-only', '--tmpfs', '/tmp'],
        // A signal for the client is for the client: the first process of a container ignores what it does not expect.
        '--sig-proxy=false',
        // The archive goes through standard output: Docker's log would keep all of it on disk.
        ...['--log-driver', 'none'],
        // The daemon's user namespace, where there is one, maps root to nobody: owners are those of the host here.
        ...['--user', '0:0', '--userns', 'host', '--workdir', '/'],
        ...['--security-opt', 'label=disable', '--security-opt', 'no-new-privileges', '--cap-drop', 'ALL'],
        ...capabilities.flatMap((capability) => ['--cap-add', capability]),
        ...['--env', 'LC_ALL=C'],
        ...[...last.values()].flatMap((mount) => ['--mount', mountOption(mount)]),
    ];
}
/** `--mount`, as `--volume` makes a missing directory and can't take a colon. Its value is a line of CSV. */
function mountOption({ source, target, writable }) {
    const fields = ['type=bind', `source=${source}`, `target=${target}`, ...(writable ? [] : ['readonly'])];
    return fields.map((field) => (/[",\n\r]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field)).join(',');
}
async function systemMounts(programs) {
    const mounts = [];
    for (const target of [...SYSTEM, ...programs]) {
        const source = await (0,promises_.realpath)(target).catch(() => undefined);
        if (source === undefined || (programs.includes(target) && helper_container_isWithin('/usr', source)))
            continue;
        mounts.push({ source, target, writable: false });
    }
    return mounts;
}
/**
 * The directories to mount so that a path, and renames beside it, are in reach: its parent, and the parent of what it leads to as a symbolic link.
 * Where this user can see that the parent is missing, or the daemon has said so (`absent`), the nearest directory above that is there.
 */
async function placesOf(path, absent) {
    const real = await (0,promises_.realpath)(path).catch(() => path);
    return (await Promise.all([...new Set([path, real])].map((one) => placeOf(one, absent)))).flat();
}
async function placeOf(path, absent) {
    let place = (0,external_node_path_.dirname)(path);
    for (const directory of ancestors(place)) {
        if (absent.has(directory) || (await isMissing(directory))) {
            place = (0,external_node_path_.dirname)(directory);
            break;
        }
    }
    if (place !== '/')
        return [place];
    // Nothing can be mounted over the root itself. Where even the first directory is missing, it is in the container as well.
    return (0,external_node_path_.dirname)(path) === '/' && !absent.has(path) && !(await isMissing(path)) ? [path] : [];
}
/** `/a`, `/a/b`, `/a/b/c`. */
function ancestors(directory) {
    const parts = directory.split(external_node_path_.sep).filter((part) => part !== '');
    return parts.map((_, index) => (0,external_node_path_.join)('/', ...parts.slice(0, index + 1)));
}
/** True only where it is certain: what may not be looked at is taken to be there. */
async function isMissing(path) {
    try {
        await (0,promises_.lstat)(path);
        return false;
    }
    catch (error) {
        return ['ENOENT', 'ENOTDIR'].includes(error.code ?? '');
    }
}
/** Those that lie in no other of them. A rename between two mounts fails, so there must be no needless ones. */
function outermost(paths) {
    const unique = [...new Set(paths)].sort();
    return unique.filter((path) => !unique.some((other) => other !== path && helper_container_isWithin(other, path)));
}
function helper_container_isWithin(directory, path) {
    const rest = (0,external_node_path_.relative)(directory, path);
    return rest !== '..' && !rest.startsWith(`..${external_node_path_.sep}`);
}
async function importHelper(processes, runtime) {
    await processes.run({ argv: ['docker', 'import', '--change', `LABEL ${HELPER_LABEL}=1`, '-', HELPER_IMAGE] }, { input: EMPTY_TAR });
    const id = await runtime.imageId(HELPER_IMAGE);
    if (id === null)
        throw new errors/* CaretakerError */.xT('engine-failed', `failed to import ${HELPER_IMAGE}: it is not there`);
    return id;
}

;// CONCATENATED MODULE: ./src/runtimes/engine.ts





/** How both engines say that something is not there. */
const engine_ABSENT = /no such (?:container|image|volume|network|pod|object)|network (?:not found|\S+ not found)|no container with name or id|image not known/i;
/**
 * Podman reads all images to answer about one, and fails when any of them is removed meanwhile: the words of the image itself are `NAME: image not known`. (Measured with 4.3: of 130 calls of
 * `podman images` and `image inspect` beside somebody who builds and removes images, 15 failed.) Each failure is one image that went, so asking again comes to an end.
 */
const ANOTHER_WENT = /locating image with ID "[0-9a-f]{64}": image not known/;
/** Times that Podman is asked again. */
const ASKED_AGAIN = 20;
/** How both say that a log cannot be read because the container keeps none. */
const NO_LOG = /does not support reading|log driver, cannot read logs/i;
/** Words of the engine itself, in the place of those of a program that was to run in a container. */
const ENGINE_SPEAKS = /^Error(?: response from daemon)?: (?:.*no such container|.*is not running|.*is paused|.*is restarting|no container with|can only create exec|cannot exec|.*container state improper)/im;
/** One command's inspects: a container's are some 10 KB, and the last MiB of an output is all that is kept. */
const INSPECTED_AT_ONCE = 25;
/**
 * Rounds of stopping before it is given up. Podman forgets that it was told to stop a container that its restart policy is about to start again:
 * only a stop while it runs counts, and a crash loop's container runs for moments.
 */
const STOP_ROUNDS = 40;
const engine_ANY_CODE = Array.from({ length: 256 }, (_, code) => code);
function engineCommand(name, processes) {
    // Podman leaves processes of its own behind (the namespace's keeper, conmon), which the runner would end after the job.
    const command = (args, env = {}) => ({
        argv: [name, ...args],
        env: { ...env, ...(name === 'podman' ? { RUNNER_TRACKING_ID: '' } : {}) },
    });
    async function run(args, action, { env, ...options } = {}) {
        let result;
        const reads = args[0] === 'images' || (args[0] === 'image' && args[1] === 'inspect');
        try {
            for (let time = 0;; time++) {
                result = await processes.run(command(args, env), { ...options, accept: engine_ANY_CODE });
                if (!reads || time === ASKED_AGAIN || !ANOTHER_WENT.test(result.stderr))
                    break;
            }
        }
        catch (error) {
            if (error instanceof errors/* CaretakerError */.xT && ['command-timeout', 'cancelled'].includes(error.code))
                throw error;
            throw engineFailed(name, action, error instanceof Error ? error.message : String(error), error);
        }
        if ((options.accept ?? [0]).includes(result.exitCode))
            return result;
        throw engineFailed(name, action, wordsOf(result));
    }
    return {
        command,
        run,
        async find(args, action) {
            const result = await run(args, action, { accept: engine_ANY_CODE });
            if (result.exitCode === 0)
                return result.stdout;
            if (engine_ABSENT.test(result.stderr) && !ANOTHER_WENT.test(result.stderr))
                return null;
            throw engineFailed(name, action, wordsOf(result));
        },
    };
}
function engineFailed(name, action, words, cause) {
    return new errors/* CaretakerError */.xT('engine-failed', `failed to ${action}: ${name} says: ${words}`, {
        hint: `The same ${name} command by hand, as the user who runs this, shows more.`,
        ...(cause === undefined ? {} : { cause }),
    });
}
function wordsOf(result) {
    return lastLines(result.stderr) || lastLines(result.stdout) || `nothing (exit code ${result.exitCode})`;
}
function engine_short(id) {
    return /^[0-9a-f]{64}$/.test(id) ? id.slice(0, 12) : id;
}
/** All that Docker and Podman do alike, in the same words. */
function commonRuntime(facts, engine, processes) {
    const { name } = facts;
    const inspect = async (ids) => {
        const found = [];
        for (let at = 0; at < ids.length; at += INSPECTED_AT_ONCE) {
            const args = ['container', 'inspect', '--', ...ids.slice(at, at + INSPECTED_AT_ONCE)];
            const { exitCode, stdout, stderr } = await engine.run(args, 'look at containers', { accept: engine_ANY_CODE });
            // One that has gone meanwhile: the engine answers with the others, and fails.
            if (exitCode !== 0 && !onlyAbsent(stderr))
                throw engineFailed(name, 'look at containers', lastLines(stderr));
            found.push(...parseContainers(stdout, name));
        }
        return found;
    };
    const byId = async (ids) => {
        const containers = await inspect(ids);
        return new Map(ids.flatMap((id) => {
            const container = containers.find((one) => one.id.startsWith(id) || one.name === id);
            return container === undefined ? [] : [[id, container]];
        }));
    };
    const imageId = async (nameOrId) => {
        const args = ['image', 'inspect', '--format', '{{.Id}}', '--', nameOrId];
        const answer = await engine.find(args, `look at the image ${nameOrId}`);
        return answer === null ? null : withAlgorithm(answer.trim());
    };
    const volume = async (wanted) => {
        const answer = await engine.find(['volume', 'inspect', '--', wanted], `look at the volume ${wanted}`);
        if (answer === null)
            return null;
        const [found] = JSON.parse(answer);
        if (found === undefined)
            return null;
        return { name: found.Name, mountpoint: found.Mountpoint, driver: found.Driver, labels: found.Labels ?? {} };
    };
    const execArgs = (id, argv, options, interactive) => [
        'exec',
        ...(interactive ? ['--interactive'] : []),
        ...(options.user === undefined ? [] : ['--user', options.user]),
        // A name alone: the engine's program takes the value from its own environment.
        ...Object.keys(options.env ?? {}).flatMap((variable) => ['--env', variable]),
        id,
        ...argv,
    ];
    return {
        name,
        rootless: facts.rootless,
        version: facts.version,
        platform: () => Promise.resolve(facts.platform),
        storage: () => Promise.resolve(facts.storage),
        async containers(labels) {
            const wanted = Object.entries(labels);
            const filters = wanted.flatMap(([key, value]) => ['--filter', `label=${key}=${value}`]);
            const { stdout } = await engine.run(['ps', '--all', '--quiet', '--no-trunc', ...filters], 'list containers');
            const containers = await inspect(stdout.split('\n').filter((line) => line !== ''));
            // Engines differ in whether several label filters mean all of them or any.
            return containers.filter((container) => wanted.every(([key, value]) => container.labels[key] === value));
        },
        async container(id) {
            return (await inspect([id]))[0] ?? null;
        },
        async exec(id, argv, options = {}) {
            const action = `run ${argv[0]} in container ${engine_short(id)}`;
            const result = await engine.run(execArgs(id, argv, options, options.input !== undefined), action, {
                accept: engine_ANY_CODE,
                ...(options.env === undefined ? {} : { env: options.env }),
                ...(options.input === undefined ? {} : { input: options.input }),
                ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
            });
            // 1 is Docker's code for its own errors, 125 and 255 are Podman's; a program may end with 1 or 255 as well.
            const engineSpeaks = result.exitCode === 125 || ([1, 255].includes(result.exitCode) && ENGINE_SPEAKS.test(result.stderr));
            if (engineSpeaks)
                throw engineFailed(name, action, wordsOf(result));
            if (!(options.accept ?? [0]).includes(result.exitCode)) {
                throw new errors/* CaretakerError */.xT('engine-failed', `failed to ${action}: exit code ${result.exitCode}: ${wordsOf(result)}`, { hint: 'The words are those of the program in the container.' });
            }
            return result;
        },
        execStream(id, argv, options = {}) {
            return processes.stream(engine.command(execArgs(id, argv, options, true), options.env), options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs });
        },
        async runOnce(image, [program, ...args], { mounts, ...options }) {
            const container = `caretaker-helper-${(0,external_node_crypto_.randomUUID)()}`;
            const readOnly = mounts.map((mount) => ({ ...mount, writable: false }));
            // Reading what belongs to others, a database's files above all.
            const argv = [...confined(container, readOnly, ['DAC_READ_SEARCH']), '--entrypoint', program, image, ...args];
            try {
                return await engine.run(argv, `run ${program} in a container of ${engine_short(image)}`, options);
            }
            catch (error) {
                // The client's end is not the container's; the failure that led here is the one to tell.
                await engine.find(['rm', '--force', container], `remove the container ${container}`).catch(() => undefined);
                throw error;
            }
        },
        async stop(ids) {
            for (let round = 1; ids.length > 0; round++) {
                const now = await byId(ids);
                const up = ids.filter((id) => {
                    const state = now.get(id)?.state;
                    return state === 'running' || state === 'paused' || state === 'restarting';
                });
                if (up.length === 0)
                    return;
                if (round > STOP_ROUNDS)
                    throw engineFailed(name, `stop ${up.map(engine_short).join(', ')}`, 'it still runs');
                for (const id of up) {
                    // Podman refuses to stop a paused one, and a signal reaches nobody there.
                    if (now.get(id)?.state === 'paused')
                        await engine.find(['unpause', id], `unpause the container ${engine_short(id)}`);
                    await engine.find(['stop', id], `stop the container ${engine_short(id)}`);
                }
            }
        },
        async start(ids) {
            for (const id of ids)
                await engine.run(['start', id], `start the container ${engine_short(id)}`, { outlivesJob: true });
        },
        async pause(ids) {
            const now = await byId(ids);
            const running = ids.filter((id) => now.get(id)?.state === 'running');
            if (running.length > 0)
                await engine.run(['pause', ...running], `pause ${running.map(engine_short).join(', ')}`);
        },
        async unpause(ids) {
            const now = await byId(ids);
            const paused = ids.filter((id) => now.get(id)?.state === 'paused');
            if (paused.length > 0)
                await engine.run(['unpause', ...paused], `unpause ${paused.map(engine_short).join(', ')}`);
        },
        async logTail(id, lines) {
            const text = [];
            // What the container said on both its outputs comes on both of ours, line by line.
            const onLine = (line) => {
                text.push(line);
                if (text.length > lines)
                    text.shift();
            };
            const action = `read the log of container ${engine_short(id)}`;
            const result = await engine.run(['logs', '--tail', String(lines), id], action, { accept: engine_ANY_CODE, onLine });
            if (result.exitCode === 0)
                return text.join('\n');
            if (NO_LOG.test(result.stderr))
                return '';
            throw engineFailed(name, action, wordsOf(result));
        },
        imageId,
        async imageEnvironment(image) {
            const args = ['image', 'inspect', '--format', '{{json .Config.Env}}', '--', image];
            const answer = await engine.find(args, `look at the image ${image}`);
            if (answer === null)
                return null;
            const lines = JSON.parse(answer) ?? [];
            const pairs = lines.map((line) => [line.split('=', 1)[0], line.slice(line.indexOf('=') + 1)]);
            return Object.fromEntries(pairs);
        },
        async imageBytes(image) {
            const args = ['image', 'inspect', '--format', '{{.Size}}', '--', image];
            const answer = await engine.find(args, `look at the image ${image}`);
            return answer === null ? null : Number(answer);
        },
        async pull(reference) {
            await engine.run(['pull', '--quiet', reference], `pull ${reference}`);
        },
        async tag(image, newName) {
            await engine.run(['tag', image, newName], `name the image ${image} ${newName}`);
        },
        async saveImages(ids, file) {
            // Podman: without the option it writes only the first. Both overwrite nothing: Podman refuses a file that exists.
            const several = name === 'podman' ? ['--multi-image-archive'] : [];
            await engine.run(['save', ...several, '--output', file, ...ids], `save ${ids.map(engine_short).join(', ')}`);
        },
        async loadImages(file) {
            await engine.run(['load', '--input', file], `load the images of ${file}`);
        },
        async imageNames(prefix) {
            const { stdout } = await engine.run(['images', '--format', '{{.Repository}}:{{.Tag}}'], 'list images');
            return [...new Set(stdout.split('\n').map((line) => nameAs(line, prefix)))].filter((line) => line !== '' && line.startsWith(prefix) && !line.includes('<none>'));
        },
        volume,
        async volumes(labels) {
            const wanted = Object.entries(labels);
            const filters = wanted.flatMap(([key, value]) => ['--filter', `label=${key}=${value}`]);
            const { stdout } = await engine.run(['volume', 'ls', '--quiet', ...filters], 'list volumes');
            const found = [];
            for (const line of stdout.split('\n').filter((one) => one !== '')) {
                const info = await volume(line);
                // Engines differ in whether several label filters mean all of them or any.
                if (info !== null && wanted.every(([key, value]) => info.labels[key] === value))
                    found.push(info);
            }
            return found;
        },
        async createVolume(wanted, labels) {
            const existing = await volume(wanted);
            if (existing !== null)
                return existing;
            const options = Object.entries(labels).flatMap(([key, value]) => ['--label', `${key}=${value}`]);
            await engine.run(['volume', 'create', ...options, wanted], `create the volume ${wanted}`);
            const created = await volume(wanted);
            if (created === null)
                throw engineFailed(name, `create the volume ${wanted}`, 'it is not there');
            return created;
        },
        async removeRest(project) {
            const label = 'com.docker.compose.project';
            const { stdout } = await engine.run(['network', 'ls', '--quiet', '--filter', `label=${label}=${project}`], 'list networks');
            for (const network of stdout.split('\n').filter((line) => line !== '')) {
                const answer = await engine.find(['network', 'inspect', network], `look at the network ${network}`);
                // Docker writes Labels, Podman labels.
                const [found] = JSON.parse(answer ?? '[]');
                if ((found?.Labels ?? found?.labels)?.[label] === project)
                    await engine.find(['network', 'rm', network], `remove the network ${network}`);
            }
        },
        async removeVolume(wanted, labels) {
            const found = await volume(wanted);
            if (found === null)
                return true;
            if (Object.entries(labels).some(([key, value]) => found.labels[key] !== value))
                return false;
            await engine.find(['volume', 'rm', wanted], `remove the volume ${wanted}`);
            return true;
        },
    };
}
/** Podman shows `app:1` as `localhost/app:1`, and takes either. */
function nameAs(line, prefix) {
    const bare = line.replace(/^localhost\//, '');
    return !line.startsWith(prefix) && bare.startsWith(prefix) ? bare : line;
}
/** Podman's warnings (`level=warning`, `WARN[0000]`) may stand beside what counts. */
function onlyAbsent(stderr) {
    const lines = stderr.split('\n').filter((line) => line.trim() !== '' && !/level=|^WARN\[/.test(line));
    return lines.length > 0 && lines.every((line) => engine_ABSENT.test(line));
}

;// CONCATENATED MODULE: ./src/runtimes/docker.ts



/** An engine that does not answer within this time does not answer. */
const ANSWER_MS = 30_000;
/**
 * Docker as this user reaches it; null where there is no `docker`, where its daemon does not answer or refuses this user, and where
 * `docker` is Podman's alias.
 */
async function createDocker(processes) {
    const engine = engineCommand('docker', processes);
    const server = await answer(processes);
    if (server === null)
        return null;
    const format = '{{json .SecurityOptions}}\n{{.DockerRootDir}}';
    const { stdout } = await engine.run(['info', '--format', format], 'ask docker how it runs');
    const facts = {
        name: 'docker',
        version: server.Version,
        rootless: stdout.includes('name=rootless'),
        platform: `${server.Os}/${server.Arch}`,
        storage: stdout.trim().split('\n').at(-1) ?? '',
    };
    const common = commonRuntime(facts, engine, processes);
    return {
        ...common,
        async remove(ids, { anonymousVolumes = false } = {}) {
            const volumes = anonymousVolumes ? ['--volumes'] : [];
            for (const id of ids)
                await engine.find(['rm', '--force', ...volumes, id], `remove the container ${id}`);
        },
        async runHealthCheck(id) {
            const inspected = await engine.run(['container', 'inspect', '--', id], `look at the container ${id}`);
            const check = parseHealthCheck(inspected.stdout, 'docker');
            const [program, ...args] = check?.argv ?? [];
            if (check === null || program === undefined)
                return 'none';
            // Docker's daemon runs the checks and has no command to run one now.
            try {
                const accept = Array.from({ length: 256 }, (_, code) => code);
                const result = await common.exec(id, [program, ...args], { timeoutMs: check.timeoutMs, accept });
                return result.exitCode === 0 ? 'healthy' : 'unhealthy';
            }
            catch (error) {
                if (error instanceof errors/* CaretakerError */.xT && error.code === 'command-timeout')
                    return 'unhealthy';
                throw error;
            }
        },
        // Its name server is a part of the daemon.
        mendNetwork: () => Promise.resolve(false),
        async imageDigests(nameOrId) {
            const args = ['image', 'inspect', '--format', '{{json .RepoDigests}}', '--', nameOrId];
            const digests = await engine.find(args, `look at the image ${nameOrId}`);
            return digests === null ? [] : (JSON.parse(digests) ?? []);
        },
        async untag(name) {
            // --force: where it is the only name of an image in use. The image itself stays then.
            await engine.find(['rmi', '--force', '--no-prune', name], `remove the image name ${name}`);
        },
    };
}
async function answer(processes) {
    try {
        const { stdout } = await processes.run({ argv: ['docker', 'version', '--format', '{{json .Server}}'] }, { timeoutMs: ANSWER_MS });
        // Podman's alias has a client's half only: it prints null, `<no value>`, or fails.
        const server = JSON.parse(stdout);
        return typeof server?.Version === 'string' ? server : null;
    }
    catch (error) {
        if (error instanceof SyntaxError)
            return null;
        if (error instanceof errors/* CaretakerError */.xT && error.code !== 'cancelled')
            return null;
        throw error;
    }
}

;// CONCATENATED MODULE: ./src/runtimes/podman.ts






/** An engine that does not answer within this time does not answer. */
const podman_ANSWER_MS = 30_000;
/** Rounds of removing before it is given up: a container's end may take a moment to be seen. */
const REMOVE_ROUNDS = 4;
/** Of a log file, the end that is read. */
const LOG_BYTES = 256 * 1024;
/** Podman with this user's own storage; null where there is none, or where it cannot run for this user. */
async function createPodman(processes) {
    const engine = engineCommand('podman', processes);
    const info = await podman_answer(processes);
    if (info === null)
        return null;
    const facts = {
        name: 'podman',
        version: info.version.Version,
        rootless: info.host.security.rootless,
        platform: `${info.host.os}/${info.host.arch}`,
        storage: info.store.graphRoot,
    };
    const common = commonRuntime(facts, engine, processes);
    const names = (0,external_node_path_.join)(facts.rootless ? info.store.runRoot : '/run/containers', 'networks/aardvark-dns');
    return {
        ...common,
        async remove(ids, { anonymousVolumes = false } = {}) {
            const volumes = anonymousVolumes ? ['--volumes'] : [];
            // A container on which another one depends can't be removed before it. --depend would also take those that nobody named.
            let words = '';
            for (let round = 0, left = [...ids]; left.length > 0; round++) {
                if (round > REMOVE_ROUNDS + ids.length)
                    throw engineFailed('podman', `remove ${left.join(', ')}`, words);
                const next = [];
                for (const id of left) {
                    try {
                        await engine.find(['rm', '--force', ...volumes, id], `remove the container ${id}`);
                    }
                    catch (error) {
                        if (!(error instanceof errors/* CaretakerError */.xT) || error.code !== 'engine-failed')
                            throw error;
                        words = error.message;
                        next.push(id);
                    }
                }
                if (next.length === left.length && round >= REMOVE_ROUNDS)
                    throw engineFailed('podman', `remove ${next.join(', ')}`, words);
                left = next;
            }
            await forgetNames(names, ids, processes);
        },
        async removeRest(project) {
            // podman-compose's default since 1.1; without --force, a pod that has containers stays.
            await engine.find(['pod', 'rm', `pod_${project}`], `remove the pod of ${project}`);
            await common.removeRest(project);
        },
        async runHealthCheck(id) {
            const action = `run the health check of ${id}`;
            const result = await engine.run(['healthcheck', 'run', id], action, { accept: [0, 1, 125] });
            if (result.exitCode === 0)
                return 'healthy';
            if (result.exitCode === 1)
                return 'unhealthy';
            if (/no defined healthcheck|has no healthcheck/i.test(result.stderr))
                return 'none';
            throw engineFailed('podman', action, result.stderr.trim());
        },
        async logTail(id, lines) {
            const format = '{{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Path}}';
            const { stdout } = await engine.run(['container', 'inspect', '--format', format, '--', id], `look at ${id}`);
            const [, file] = /^(?:k8s-file|json-file) (\/.*)$/m.exec(stdout) ?? [];
            if (file !== undefined) {
                // Podman 4.3's --tail takes pieces of lines for lines, and loses what an unbuffered program prints.
                const argv = ['tail', `--bytes=${LOG_BYTES}`, '--', file];
                const tail = await processes.run({ argv }, { accept: [0, 1] });
                if (tail.exitCode === 0)
                    return parseLogFile(tail.stdout, lines, Buffer.byteLength(tail.stdout) < LOG_BYTES);
            }
            return common.logTail(id, lines);
        },
        async mendNetwork(running) {
            if (!(await lostNameServer(names)))
                return false;
            const ids = await running();
            const served = await namesServed(names, ids);
            if (served.length === 0)
                return false;
            await engine.run(['network', 'reload', ...served], 'set the network up anew', { outlivesJob: true });
            return true;
        },
        async imageDigests(nameOrId) {
            const args = ['image', 'inspect', '--format', '{{json .RepoDigests}}', '--', nameOrId];
            const answered = await engine.find(args, `look at the image ${nameOrId}`);
            const digests = answered === null ? [] : (JSON.parse(answered) ?? []);
            // Podman gives digests to local builds too.
            return digests.filter((digest) => !digest.startsWith('localhost/'));
        },
        async untag(name) {
            const id = await common.imageId(name);
            if (id === null)
                return;
            // One name alone would take all names of the image.
            await engine.find(['untag', name, name], `remove the image name ${name}`);
            const names = await engine.find(['image', 'inspect', '--format', '{{json .RepoTags}}', '--', id], `look at ${id}`);
            if (names === null || (JSON.parse(names) ?? []).length > 0)
                return;
            // As Docker does it: without a name, an image that nothing uses goes.
            const result = await engine.run(['rmi', id], `remove the image ${id}`, { accept: [0, 1, 2, 125] });
            if (result.exitCode !== 0 && !/in use|image not known|no such image|dependent/i.test(result.stderr)) {
                throw engineFailed('podman', `remove the image ${withAlgorithm(id)}`, result.stderr.trim());
            }
        },
    };
}
/**
 * Whether the name server of Podman's networks, aardvark-dns, was started and runs no more. netavark starts one only while a container's network is set up, and takes one that is about to end for
 * one that serves. (Measured with Podman 4.3, netavark 1.4: a container whose published port is taken leaves an entry behind; at the next start of the stack the server, kept by
 * that entry in a network namespace that is gone, ends.)
 */
async function lostNameServer(directory) {
    return (await (0,system_files/* readText */.yR)((0,external_node_path_.join)(directory, 'aardvark.pid'))) !== null && (await nameServer(directory)) === null;
}
/** Its process id; null where none runs. */
async function nameServer(directory) {
    const pid = (await (0,system_files/* readText */.yR)((0,external_node_path_.join)(directory, 'aardvark.pid')))?.trim();
    const state = pid === undefined ? null : await (0,system_files/* readText */.yR)(`/proc/${pid}/stat`);
    return state !== null && /^\d+ \(aardvark-dns\) [^ZX]/.test(state) ? Number(pid) : null;
}
/** Those of the containers whose names it is to know. */
async function namesServed(directory, ids) {
    const known = await namesKnown(directory);
    return ids.filter((id) => [...known.values()].some((served) => served.has(id)));
}
/** Of each list (one for each network, by its path) the containers in it. */
async function namesKnown(directory) {
    const known = new Map();
    for (const name of await namesIn(directory)) {
        if (name === 'aardvark.pid')
            continue;
        const file = (0,external_node_path_.join)(directory, name);
        // After a line of addresses: id, addresses and names of one container on each line.
        const [, ...lines] = ((await (0,system_files/* readText */.yR)(file)) ?? '').split('\n');
        known.set(file, new Set(lines.flatMap((line) => line.split(' ')[0] ?? [])));
    }
    return known;
}
/**
 * Takes containers that are gone out of the name server's lists. Podman leaves the entry of a container that could not start (its port was taken) there even when it removes the container and its network; the
 * next network of any project of this user that gets the same addresses then has no name server, for one address cannot be served twice. (Measured with Podman 4.3, netavark 1.4.)
 * As netavark itself does it: under its lock, an empty list goes, the server is told to read them anew.
 */
async function forgetNames(directory, ids, processes) {
    const full = ids.filter((id) => /^[0-9a-f]{64}$/.test(id));
    for (const [file, known] of await namesKnown(directory)) {
        const gone = full.filter((id) => known.has(id));
        if (gone.length === 0)
            continue;
        const lines = gone.map((id) => `/^${id} /d`).join(';');
        await processes.run({ argv: ['flock', (0,external_node_path_.join)(directory, '../aardvark.lock'), 'sh', '-c', TAKE_OUT, file, lines] });
        const pid = await nameServer(directory);
        if (pid !== null)
            process.kill(pid, 'SIGHUP');
    }
}
/** $0: a list; $1: sed's words for the lines to take out. Its first line are the addresses to serve at. */
const TAKE_OUT = `
left=$(sed "$1" "$0") || exit
case $left in
  *"
"*) printf '%s\\n' "$left" > "$0" ;;
  *) rm "$0" ;;
esac`;
async function namesIn(directory) {
    try {
        return await (0,promises_.readdir)(directory);
    }
    catch (error) {
        if (error.code === 'ENOENT')
            return [];
        throw (0,system_files/* fileError */.zS)(`read ${directory}`, error);
    }
}
async function podman_answer(processes) {
    try {
        const { stdout } = await processes.run({ argv: ['podman', 'info', '--format', 'json'], env: { RUNNER_TRACKING_ID: '' } }, { timeoutMs: podman_ANSWER_MS });
        return JSON.parse(stdout);
    }
    catch (error) {
        if (error instanceof SyntaxError)
            return null;
        if (error instanceof errors/* CaretakerError */.xT && error.code !== 'cancelled')
            return null;
        throw error;
    }
}

;// CONCATENATED MODULE: ./src/runtimes/detect.ts


/** The engines that answer to this user here, Docker first; none is no error. */
async function detectRuntimes(processes) {
    const runtimes = await Promise.all([createDocker(processes), createPodman(processes)]);
    return runtimes.filter((runtime) => runtime !== null);
}

;// CONCATENATED MODULE: ./src/runtimes/host-files-ways.ts








/**
 * Chooses the way to the host's files and proves that it works. Throws `tar-missing` where there is no GNU tar, `host-files-denied`
 * where the way does not work.
 */
async function createHostFiles(options) {
    await requireGnuTar(options.processes);
    const { way, tools } = chooseWay(options);
    const files = hostFilesBy(way, tools);
    await files.probe();
    return files;
}
/** The same way into the network of a container. */
function createContainerNetwork(options) {
    const { way, tools } = chooseWay(options);
    const { ask } = agentBy(way, tools);
    return {
        http: (container, port, probe) => ask('http', { port, ...probe }, [], container),
    };
}
function chooseWay(options) {
    const { processes } = options;
    const agent = (0,external_node_fs_.realpathSync)(options.agent);
    const node = (0,external_node_fs_.realpathSync)(options.node);
    return { way: wayOf(options, [(0,external_node_path_.dirname)(node), (0,external_node_path_.dirname)(agent)]), tools: { processes, node, agent } };
}
function wayOf({ runtime, root, processes }, programs) {
    // Rootless Podman run by root: its containers' root is the host's all the same.
    if (root || runtime === null)
        return direct;
    if (runtime.name === 'docker')
        return helperContainer(runtime, processes, programs);
    return runtime.rootless ? podmanUnshare : direct;
}
const direct = {
    name: 'direct',
    wrap: (argv, _paths, _absent, network) => Promise.resolve({ command: { argv: host_files_ways_inside(network, argv) } }),
};
function host_files_ways_inside(network, argv) {
    return network === undefined ? argv : ['nsenter', `--net=/proc/${network.pid}/ns/net`, '--', ...argv];
}
const podmanUnshare = {
    name: 'podman-unshare',
    // The keeper of the namespace may be started by this, and must not end with the job.
    wrap: (argv, _paths, _absent, network) => Promise.resolve({
        command: { argv: ['podman', 'unshare', '--', ...host_files_ways_inside(network, argv)], env: { RUNNER_TRACKING_ID: '' } },
    }),
};
async function requireGnuTar(processes) {
    const hint = 'Install GNU tar (package tar) on this machine.';
    try {
        const { stdout } = await processes.run({ argv: ['tar', '--version'] });
        if (stdout.includes('GNU tar'))
            return;
    }
    catch (error) {
        if (error instanceof errors/* CaretakerError */.xT && error.code === 'cancelled')
            throw error;
        throw new errors/* CaretakerError */.xT('tar-missing', `failed to find GNU tar: ${(0,errors/* messageOf */.bD)(error)}`, { hint, cause: error });
    }
    throw new errors/* CaretakerError */.xT('tar-missing', 'failed to find GNU tar: the tar on PATH is another one', { hint });
}
function agentBy(way, { processes, node, agent }) {
    async function run(argv, paths, input = '', network) {
        const absent = new Set();
        for (;;) {
            const wrapped = await way.wrap(argv, paths, absent, network);
            try {
                return (await processes.run(inEnglish(wrapped.command), { input })).stdout;
            }
            catch (error) {
                // The failure that led here is the one to tell.
                await wrapped.end?.().catch(() => undefined);
                const missing = missingMount(error);
                if (missing === undefined || absent.has(missing))
                    throw error;
                absent.add(missing);
            }
        }
    }
    async function ask(operation, request, paths, network) {
        let output;
        try {
            // Warnings (of types being stripped, of an experimental module) would be taken for the cause when something else fails.
            output = await run([node, '--no-warnings', agent, operation], paths, JSON.stringify(request), network);
        }
        catch (error) {
            throw denied(operation, paths, error);
        }
        const answer = parseAnswer(output, operation);
        if (answer.ok)
            return answer.value;
        throw new errors/* CaretakerError */.xT(answer.code, answer.message, answer.hint === undefined ? {} : { hint: answer.hint });
    }
    function denied(operation, paths, cause) {
        if (cause instanceof errors/* CaretakerError */.xT && ['cancelled', 'command-timeout', 'host-files-denied'].includes(cause.code))
            return cause;
        const what = paths.length === 0 ? 'the files on this machine' : paths.join(', ');
        return new errors/* CaretakerError */.xT('host-files-denied', `failed to ${operation === 'probe' ? 'reach' : operation} ${what} by ${way.name}: ${(0,errors/* messageOf */.bD)(cause)}`, {
            hint: {
                direct: 'Run this as root, or as a user who owns the application’s files.',
                'podman-unshare': 'Check that "podman unshare true" works for this user (/etc/subuid, /etc/subgid, newuidmap).',
                'helper-container': 'Check that this user may use Docker on this very machine ("docker run"), or run this as root.',
            }[way.name],
            cause,
        });
    }
    return { run, ask, denied };
}
function hostFilesBy(way, tools) {
    const { processes } = tools;
    const { run, ask, denied } = agentBy(way, tools);
    /** Runs a program between two streams, once what it needs is there. `then` runs after it has ended well or badly. */
    function stream(before, then) {
        return startedLater(async (stillWanted) => {
            const { argv, path } = await before();
            const { command, end } = await way.wrap(argv, [path], new Set());
            stillWanted();
            const inner = processes.stream(inEnglish(command));
            const done = inner.done.catch(async (error) => {
                await end?.().catch(() => undefined);
                throw error;
            });
            done.catch(() => undefined);
            const kill = () => {
                // Both: Docker's client answers a signal late, and ends at once with its container.
                void end?.().catch(() => undefined);
                inner.kill();
            };
            return { ...inner, done, kill };
        }, then);
    }
    async function isDirectory(path) {
        try {
            return (await (0,promises_.stat)(path)).isDirectory();
        }
        catch {
            // Not for us to see, or not there: the way itself tells, and tar says so.
            return run(['stat', '--dereference', '--format=%F', '--', path], [path]).then((kind) => kind.trim() === 'directory', (error) => {
                throw denied('read', [path], error);
            });
        }
    }
    return {
        way: way.name,
        probe: () => ask('probe', {}, []),
        scan: (root) => ask('scan', { root }, [root]),
        oursAt: (roots) => ask('oursAt', { roots }, roots),
        exists: (path) => ask('exists', { path }, [path]),
        kinds: (root, paths) => ask('kinds', { root, paths }, [root]),
        fingerprint: (roots, { exclude = [], settle = false, contents = false }) => ask('fingerprint', { roots, exclude, settle, contents }, roots),
        changes: (root, options) => ask('changes', { root, ...options }, [root, options.note]),
        removeMembers: (root, names) => ask('removeMembers', { root, names }, [root]),
        tar(root, { exclude = [], only, live = false, onWarning = () => undefined }) {
            const kind = async () => only !== undefined ? 'members' : (await isDirectory(root)) ? 'directory' : 'file';
            const tar = stream(async () => ({ argv: createArgv(root, await kind(), exclude), path: root }), 
            // eslint-disable-next-line @typescript-eslint/require-await -- what it throws is the stream's failure
            async (failure) => {
                if (failure === undefined)
                    return;
                const warnings = live ? onlyLivedOn((0,errors/* messageOf */.bD)(failure.error)) : undefined;
                if (warnings === undefined)
                    throw failure.error;
                warnings.forEach(onWarning);
            });
            if (only !== undefined)
                tar.stdin.end(membersOf(only));
            return tar;
        },
        untar(root, { over = false, owners = true } = {}) {
            let made = false;
            return stream(async () => {
                if (over)
                    return { argv: extractArgv(root, owners), path: root };
                try {
                    await run(['mkdir', '--mode=700', '--', root], [root]);
                }
                catch (error) {
                    throw notMade(root, error);
                }
                made = true;
                return { argv: extractArgv(root, owners), path: root };
            }, async (failure) => {
                let error = failure?.error;
                if (failure === undefined) {
                    try {
                        await run(['sync', '--file-system', '--', root], [root]);
                        return;
                    }
                    catch (thrown) {
                        error = thrown;
                    }
                }
                if (made) {
                    await run(['rm', '-rf', '--one-file-system', '--', root], [root]).catch((left) => {
                        throw new errors/* CaretakerError */.xT('untar-left', `failed to unpack into ${root}: ${(0,errors/* messageOf */.bD)(error)}; and failed to remove what was unpacked: ${(0,errors/* messageOf */.bD)(left)}`, { hint: `Remove ${root} by hand.`, cause: error });
                    });
                }
                throw error;
            });
        },
        copySqlite: (from, to) => ask('copySqlite', { from, to }, [from, to]),
        checkSqlite: (path) => ask('checkSqlite', { path }, [path]),
        querySqlite: (path, query) => ask('querySqlite', { path, query }, [path]),
        proveSqlite: (path) => ask('proveSqlite', { path }, [path]),
        makeDirectory: (path, like) => ask('makeDirectory', { path, like }, [path, like]),
        likeness: (path, like) => ask('likeness', { path, like }, [path, like]),
        swap: (swap) => ask('swap', { swap }, placesOfSwap(swap)),
        unswap: (swap) => ask('unswap', { swap }, placesOfSwap(swap)),
        empty: (root, keep) => ask('empty', { root, keep }, [root]),
        async remove(paths) {
            if (paths.length > 0)
                await ask('remove', { paths }, paths);
        },
    };
}
/** Messages are read here, and an administrator's TAR_OPTIONS would change the archive. */
function inEnglish(command) {
    return { ...command, env: { ...command.env, LC_ALL: 'C', TAR_OPTIONS: '' } };
}
function placesOfSwap({ live, fresh, aside }) {
    return [live, fresh, aside];
}
function parseAnswer(output, operation) {
    try {
        return JSON.parse(output);
    }
    catch (error) {
        throw new errors/* CaretakerError */.xT('agent-failed', `failed to ${operation}: the agent's answer is not JSON`, {
            cause: error,
        });
    }
}
function notMade(root, error) {
    if (!/File exists/.test((0,errors/* messageOf */.bD)(error)))
        return error;
    return new errors/* CaretakerError */.xT('untar-exists', `failed to unpack into ${root}: it is there already`, {
        hint: 'Nothing was unpacked. Remove it if it is left over from an earlier run.',
        cause: error,
    });
}
/** Docker's daemon names the first bind source that is not there. */
function missingMount(error) {
    return /bind source path does not exist: (\/.*?)\.?$/m.exec((0,errors/* messageOf */.bD)(error))?.[1];
}
/** A stream whose program starts later: both ends are open at once, and a failed start is the stream's failure. */
function startedLater(start, then) {
    const stdin = new external_node_stream_.PassThrough();
    const stdout = new external_node_stream_.PassThrough();
    for (const end of [stdin, stdout])
        end.on('error', () => undefined);
    let inner;
    let killed = false;
    const kill = () => {
        killed = true;
        inner?.kill();
    };
    const runToEnd = async () => {
        inner = await start(() => {
            // A container that is only about to be made can't be ended by its name.
            if (killed)
                throw new errors/* CaretakerError */.xT('cancelled', 'ended before it began');
        });
        // A reader that goes away ends the program, whose output nobody wants any more.
        stdout.once('close', () => {
            if (!stdout.readableEnded)
                inner?.kill();
        });
        const feeding = (0,external_node_stream_promises_.pipeline)(stdin, inner.stdin);
        // A program that stops reading tells by its exit code whether that was right.
        feeding.catch(() => undefined);
        const reading = (0,external_node_stream_promises_.pipeline)(inner.stdout, stdout);
        reading.catch(() => undefined);
        await inner.done;
        await reading;
    };
    const done = runToEnd().then(() => then(undefined), (error) => then({ error }));
    done.catch((error) => {
        stdin.destroy(error);
        stdout.destroy(error);
    });
    return { stdin, stdout, done, kill };
}

// EXTERNAL MODULE: ./src/settings/parse.ts + 4 modules
var parse = __webpack_require__(42981);
;// CONCATENATED MODULE: ./src/stores/folder.ts









const TEMPORARY = /^\..+\.caretaker-tmp$/;
/** A copy that is under way moves its file's time; one that stood still for so long is a crashed run's. */
const ABANDONED_MS = 60 * 60 * 1000;
/**
 * Backups as files in one directory, which several projects may share. A file is complete as soon as its name is there: it is linked, or
 * copied beside, forced to disk and renamed.
 *
 * Further codes: `store-exists`, and `disk-full`, `host-files-denied`, `file-operation-failed` for the place that `fetch` writes to.
 */
function createFolderStore(options) {
    return new FolderStore(options);
}
class FolderStore {
    kind = 'folder';
    name;
    directory;
    #log;
    constructor({ directory, name, log }) {
        this.directory = directory;
        this.name = name ?? `folder ${directory}`;
        this.#log = log;
    }
    async check(purpose) {
        const exists = await this.#exists();
        if (purpose === 'read') {
            if (exists)
                await this.#names();
            else
                this.#log.info(`${this.directory} does not exist: there are no backups in it`);
            return;
        }
        const place = exists ? this.directory : external_node_path_default().dirname(this.directory);
        const probe = external_node_path_default().join(place, `.${(0,external_node_crypto_.randomUUID)()}.caretaker-tmp`);
        try {
            const handle = await (0,promises_.open)(probe, 'wx', 0o600);
            try {
                // A full disk still takes an empty file.
                await handle.writeFile('x');
                await handle.sync();
            }
            finally {
                await handle.close();
                await (0,promises_.rm)(probe, { force: true });
            }
        }
        catch (error) {
            throw this.#error(`write to ${place}`, error);
        }
    }
    async put(file) {
        const what = `store ${file.name} in ${this.directory}`;
        if (external_node_path_default().basename(file.name) !== file.name || TEMPORARY.test(file.name)) {
            throw new errors/* CaretakerError */.xT('store-unsupported', `failed to ${what}: that is no plain file name`);
        }
        const target = external_node_path_default().join(this.directory, file.name);
        try {
            await this.#make();
            await this.#removeAbandoned();
            if (!(await this.#link(file, target)))
                await this.#copy(file, target);
            await (0,system_files/* syncDirectory */.zR)(this.directory);
            return { id: undefined, url: undefined };
        }
        catch (error) {
            throw this.#error(what, error);
        }
    }
    async list(project) {
        const names = new Set(await this.#names());
        const wanted = project === undefined ? undefined : sanitizeProject(project);
        const proofs = proofsByBackup(names);
        const backups = [];
        for (const file of names) {
            const name = backupOfManifest(file);
            const parsed = name === null ? null : parseBackupName(name);
            if (name === null || parsed === null || (wanted !== undefined && parsed.project !== wanted))
                continue;
            const missingFile = await this.#missingFile(name, names);
            if (missingFile !== undefined) {
                this.#log.debug(`${name} is not listed: ${missingFile} is missing in ${this.directory}`);
                continue;
            }
            backups.push({
                name,
                project: parsed.project,
                createdAt: parsed.at,
                bytes: await this.#bytes([...names].filter((other) => other.startsWith(`${name}.`) && parseProofFile(other) === null)),
                ...{ expiresAt: undefined, runId: undefined, ids: [], url: undefined },
                proofs: proofs.get(name) ?? [],
            });
        }
        return backups.sort((one, other) => other.createdAt.getTime() - one.createdAt.getTime());
    }
    async readManifest(backup) {
        const what = `read the manifest of ${backup.name} in ${this.directory}`;
        const text = await (0,promises_.readFile)(external_node_path_default().join(this.directory, names_manifestFile(backup.name)), 'utf8').catch((error) => {
            throw this.#error(what, error);
        });
        try {
            return JSON.parse(text);
        }
        catch (error) {
            throw folder_damaged(what, 'it is not JSON', error);
        }
    }
    async fetch(_backup, file, toPath) {
        const what = `fetch ${file.file} from ${this.directory}`;
        if (external_node_path_default().basename(file.file) !== file.file)
            throw folder_missing(what, 'that is no plain file name');
        const stored = external_node_path_default().join(this.directory, file.file);
        const source = await (0,promises_.open)(stored).catch((error) => {
            throw this.#error(what, error);
        });
        try {
            const { size } = await source.stat();
            if (size !== file.bytes)
                throw folder_damaged(what, `it has ${size} bytes, the manifest says ${file.bytes}`);
            // Whatever is in a link's way, a copy may do; where not, it says why.
            const sha256 = (await linked(stored, toPath).catch(() => false))
                ? await folder_digestOf(toPath).catch(async (error) => {
                    await (0,promises_.rm)(toPath);
                    throw this.#error(what, error);
                })
                : await copyBytes(source, toPath, {
                    readError: (error) => this.#error(what, error),
                    writeError: (error) => (0,system_files/* fileError */.zS)(`write ${toPath}`, error),
                    onBytes: (bytes) => this.#log.progress(file.file, bytes, file.bytes),
                });
            if (sha256 !== file.sha256) {
                await (0,promises_.rm)(toPath);
                throw folder_damaged(what, 'its SHA-256 is not the one in the manifest');
            }
        }
        finally {
            await source.close();
        }
    }
    async keepProof({ name }, proof) {
        const file = proofFile(name, proof);
        const what = `store ${file} in ${this.directory}`;
        if (!(await this.#names()).includes(names_manifestFile(name)))
            throw folder_missing(what, `there is no ${name}`);
        const beside = external_node_path_default().join(this.directory, `.${file}.${(0,external_node_crypto_.randomUUID)()}.caretaker-tmp`);
        try {
            await (0,system_files/* writeDurable */.vQ)(beside, formatProof(proof));
            await (0,promises_.rename)(beside, external_node_path_default().join(this.directory, file));
            await (0,system_files/* syncDirectory */.zR)(this.directory);
            const all = proofsByBackup(await this.#names()).get(name) ?? [];
            const kept = standing(all);
            for (const one of all)
                if (!kept.includes(one))
                    await (0,promises_.rm)(external_node_path_default().join(this.directory, one.file), { force: true });
        }
        catch (error) {
            throw this.#error(what, error);
        }
        finally {
            await (0,promises_.rm)(beside, { force: true });
        }
    }
    async delete(backup) {
        const what = `delete ${backup.name} from ${this.directory}`;
        const manifest = names_manifestFile(backup.name);
        const files = (await this.#names()).filter((name) => name.startsWith(`${backup.name}.`));
        if (files.length === 0)
            throw folder_missing(what, 'there is no such backup');
        try {
            await (0,promises_.rm)(external_node_path_default().join(this.directory, manifest), { force: true });
            // On disk before the rest goes: a power cut must not leave a manifest without its parts.
            await (0,system_files/* syncDirectory */.zR)(this.directory);
            for (const file of files)
                await (0,promises_.rm)(external_node_path_default().join(this.directory, file), { force: true });
            await (0,system_files/* syncDirectory */.zR)(this.directory);
        }
        catch (error) {
            throw this.#error(what, error);
        }
    }
    async #make() {
        try {
            await (0,promises_.mkdir)(this.directory, { mode: 0o700 });
        }
        catch (error) {
            if (codeOf(error) === 'EEXIST')
                return;
            throw error;
        }
        await (0,system_files/* syncDirectory */.zR)(external_node_path_default().dirname(this.directory));
    }
    /** False where there is no such directory but its parent, which is good enough to begin with. */
    async #exists() {
        const what = `use ${this.directory} for backups`;
        try {
            const stats = await (0,promises_.stat)(this.directory);
            if (stats.isDirectory())
                return true;
            throw new errors/* CaretakerError */.xT('store-unreachable', `failed to ${what}: it is not a directory`, { input: 'store' });
        }
        catch (error) {
            if (codeOf(error) !== 'ENOENT')
                throw this.#error(what, error);
            return false;
        }
    }
    /** Names in the directory; none where it does not exist. */
    async #names() {
        try {
            return await (0,promises_.readdir)(this.directory);
        }
        catch (error) {
            if (codeOf(error) === 'ENOENT')
                return [];
            throw this.#error(`list ${this.directory}`, error);
        }
    }
    /** The first file of the backup that is not there. A manifest that can't be read counts as complete: reading it tells what is wrong. */
    async #missingFile(name, names) {
        let manifest;
        try {
            manifest = openManifest(await (0,promises_.readFile)(external_node_path_default().join(this.directory, names_manifestFile(name)), 'utf8'));
        }
        catch (error) {
            this.#log.debug(`the manifest of ${name} can't be read: ${(0,errors/* messageOf */.bD)(error)}`);
            return undefined;
        }
        const files = [...manifest.parts.flatMap((part) => part.files.map(({ file }) => file)), instructionsFile(name)];
        return files.find((file) => !names.has(file));
    }
    async #bytes(files) {
        let bytes = 0;
        for (const file of files) {
            const stats = await (0,promises_.stat)(external_node_path_default().join(this.directory, file)).catch((error) => {
                throw this.#error(`look at ${file} in ${this.directory}`, error);
            });
            bytes += stats.size;
        }
        return bytes;
    }
    /** False where only a copy will do. */
    async #link(file, target) {
        const stats = await (0,promises_.lstat)(file.path).catch((error) => {
            throw (0,system_files/* fileError */.zS)(`read ${file.path}`, error);
        });
        if (stats.isFile() && stats.size !== file.bytes)
            throw changed(file, `it has ${stats.size} bytes instead of ${file.bytes}`);
        try {
            if (!(await linked(file.path, target)))
                return false;
        }
        catch (error) {
            if (codeOf(error) !== 'EEXIST')
                throw error;
            await this.#requireSame(file, target);
            return true;
        }
        const handle = await (0,promises_.open)(target, 'r');
        try {
            // The file may come from a writer that left its bytes in the cache.
            await handle.sync();
        }
        finally {
            await handle.close();
        }
        return true;
    }
    async #copy(file, target) {
        const beside = external_node_path_default().join(this.directory, `.${file.name}.${(0,external_node_crypto_.randomUUID)()}.caretaker-tmp`);
        const source = await (0,promises_.open)(file.path).catch((error) => {
            throw (0,system_files/* fileError */.zS)(`read ${file.path}`, error);
        });
        try {
            const sha256 = await copyBytes(source, beside, {
                readError: (error) => (0,system_files/* fileError */.zS)(`read ${file.path}`, error),
                writeError: (error) => error,
                onBytes: (bytes) => this.#log.progress(file.name, bytes, file.bytes),
            });
            if (sha256 !== file.sha256)
                throw changed(file, 'its SHA-256 is not the one that it had');
            const exists = await (0,promises_.access)(target, external_node_fs_.constants.F_OK).then(() => true, () => false);
            if (exists)
                await this.#requireSame(file, target);
            else
                await (0,promises_.rename)(beside, target);
        }
        finally {
            await source.close();
            await (0,promises_.rm)(beside, { force: true });
        }
    }
    async #requireSame(file, target) {
        const there = await (0,promises_.stat)(target);
        if (there.size === file.bytes && (await folder_digestOf(target)) === file.sha256)
            return;
        throw new errors/* CaretakerError */.xT('store-exists', `failed to store ${file.name}: ${target} has another content`, {
            hint: 'Two backups of one project began in the same second, or the file was changed by hand. Move it away if nobody needs it, and run again.',
        });
    }
    async #removeAbandoned() {
        for (const name of await (0,promises_.readdir)(this.directory)) {
            if (!TEMPORARY.test(name))
                continue;
            const file = external_node_path_default().join(this.directory, name);
            const stats = await (0,promises_.stat)(file).catch(() => undefined); // Its own run was quicker.
            if (stats === undefined || Date.now() - stats.mtimeMs < ABANDONED_MS)
                continue;
            this.#log.info(`removing ${file}, which an earlier run left unfinished`);
            await (0,promises_.rm)(file, { force: true });
        }
    }
    #error(what, cause) {
        if (cause instanceof errors/* CaretakerError */.xT)
            return cause;
        const message = `failed to ${what}: ${(0,errors/* messageOf */.bD)(cause)}`;
        switch (codeOf(cause) ?? '') {
            case 'ENOSPC':
            case 'EDQUOT':
                return new errors/* CaretakerError */.xT('store-full', `failed to ${what}: no space is left there`, {
                    hint: 'Free some space on that filesystem, remove old backups, or use another folder; then run again.',
                    cause,
                });
            case 'EACCES':
            case 'EPERM':
            case 'EROFS':
                return new errors/* CaretakerError */.xT('store-denied', message, {
                    input: 'store',
                    hint: `The user who runs this must be able to read and write ${this.directory}.`,
                    cause,
                });
            case 'ENOENT':
                return this.#absent(what, cause);
            case 'ENOTDIR':
                return new errors/* CaretakerError */.xT('store-unreachable', message, {
                    input: 'store',
                    hint: 'Give the path of a directory.',
                    cause,
                });
            default:
                return new errors/* CaretakerError */.xT('store-unreachable', message, {
                    hint: 'Look at the filesystem that holds this folder, then run again.',
                    cause,
                });
        }
    }
    #absent(what, cause) {
        const at = cause.path ?? '';
        if (external_node_path_default().dirname(at) === this.directory && !TEMPORARY.test(external_node_path_default().basename(at))) {
            return folder_missing(what, `there is no ${external_node_path_default().basename(at)}`, cause);
        }
        return new errors/* CaretakerError */.xT('store-unreachable', `failed to ${what}: ${external_node_path_default().dirname(this.directory)} does not exist`, {
            input: 'store',
            hint: 'Is the disk that should hold the backups mounted? If the path is right, make its parent directory and run again.',
            cause,
        });
    }
}
/** Copies into a new file (mode 600), forces it to disk, and answers with the sha256 of what went by. On failure the new file is gone. */
async function copyBytes(source, to, handlers) {
    const failWriting = (error) => {
        throw handlers.writeError(error);
    };
    const target = await (0,promises_.open)(to, 'wx', 0o600).catch(failWriting);
    try {
        const hash = (0,external_node_crypto_.createHash)('sha256');
        const buffer = Buffer.allocUnsafe(1024 * 1024);
        for (let bytes = 0;; handlers.onBytes(bytes)) {
            const { bytesRead } = await source.read(buffer, 0, buffer.length, bytes).catch((error) => {
                throw handlers.readError(error);
            });
            if (bytesRead === 0)
                break;
            const piece = buffer.subarray(0, bytesRead);
            hash.update(piece);
            await target.writeFile(piece).catch(failWriting);
            bytes += bytesRead;
        }
        await target.sync().catch(failWriting);
        return hash.digest('hex');
    }
    catch (error) {
        await (0,promises_.rm)(to, { force: true });
        throw error;
    }
    finally {
        await target.close();
    }
}
/**
 * A second name for the same file: no copy, no doubled space, and never in place of another. False where the filesystem (or the
 * kernel's protection of files of others) does not allow it, and where the file is a symbolic link, since the link and not the bytes would be kept.
 */
async function linked(file, to) {
    if (!(await (0,promises_.lstat)(file)).isFile())
        return false;
    try {
        await (0,promises_.link)(file, to);
        return true;
    }
    catch (error) {
        if (['EXDEV', 'EPERM', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(codeOf(error) ?? ''))
            return false;
        throw error;
    }
}
async function folder_digestOf(file) {
    const hash = (0,external_node_crypto_.createHash)('sha256');
    for await (const piece of (0,external_node_fs_.createReadStream)(file, { highWaterMark: 1024 * 1024 }))
        hash.update(piece);
    return hash.digest('hex');
}
function codeOf(error) {
    return error?.code;
}
function changed(file, why) {
    return new errors/* CaretakerError */.xT('store-damaged', `failed to store ${file.path}: ${why}`, {
        hint: 'The file changed after it was verified. Run again; if it happens again, look at the machine’s memory and disk.',
    });
}
function folder_damaged(what, why, cause) {
    return new errors/* CaretakerError */.xT('store-damaged', `failed to ${what}: ${why}`, {
        hint: 'Take another backup: this one is not what was stored. Then look at the disk.',
        cause,
    });
}
function folder_missing(what, why, cause) {
    return new errors/* CaretakerError */.xT('store-missing', `failed to ${what}: ${why}`, {
        hint: 'List the backups again: somebody may have removed it.',
        cause,
    });
}

// EXTERNAL MODULE: external "node:timers/promises"
var external_node_timers_promises_ = __webpack_require__(58500);
;// CONCATENATED MODULE: ./src/system/cancelled.ts

/** What is thrown where a run is cancelled: the signal's own reason where that is a coded error, else `cancelled`. */
function cancelled(signal) {
    const reason = signal.reason;
    if (reason instanceof errors/* CaretakerError */.xT)
        return reason;
    return new errors/* CaretakerError */.xT('cancelled', 'the run was cancelled', { cause: reason });
}

;// CONCATENATED MODULE: ./src/system/system-clock.ts


/** The machine's own time. A sleep that is aborted throws `cancelled`. */
const systemClock = {
    now: () => new Date(),
    monotonic: () => performance.now(),
    async sleep(ms, signal) {
        if (signal === undefined)
            return (0,external_node_timers_promises_.setTimeout)(ms);
        try {
            await (0,external_node_timers_promises_.setTimeout)(ms, undefined, { signal });
        }
        catch (error) {
            throw signal.aborted ? cancelled(signal) : error;
        }
    },
};

;// CONCATENATED MODULE: ./src/stores/retry.ts

/** Before the second, third, … attempt: a service that restarts or a line that drops is back within a quarter of a minute, or is down. */
const WAITS_MS = [1000, 2000, 4000, 8000];
/**
 * Does the work again while it fails in a way that may pass, five times in all, and says so in the log; the last error is thrown as it
 * is. `what` completes "failed to …".
 */
async function retrying(what, tools, mayPass, work) {
    for (let attempt = 0;; attempt += 1) {
        tools.signal?.throwIfAborted();
        try {
            return await work();
        }
        catch (error) {
            const wait = WAITS_MS[attempt];
            if (wait === undefined || !mayPass(error))
                throw error;
            await pause(what, tools, attempt, error);
        }
    }
}
/** Waits before the attempt that follows attempt number `attempt` (from 0); false when there were enough of them. */
async function pause(what, tools, attempt, error) {
    const wait = WAITS_MS[attempt];
    if (wait === undefined)
        return false;
    tools.log.info(`failed to ${what} (${firstLine((0,errors/* messageOf */.bD)(error))}), trying again in ${wait / 1000} s`);
    await tools.clock.sleep(wait, tools.signal);
    return true;
}
const NETWORK = /\b(ECONNREFUSED|ECONNRESET|ECONNABORTED|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|EAI_AGAIN|EPIPE)\b|^aborted$|socket hang up/;
/** A connection that failed, by its code or, where a client lost the code, by its text. */
function isNetworkError(error) {
    if (!(error instanceof Error))
        return false;
    const { code } = error;
    return NETWORK.test(typeof code === 'string' ? code : '') || NETWORK.test(error.message);
}
function firstLine(text) {
    return text.split('\n', 1)[0] ?? '';
}

;// CONCATENATED MODULE: ./src/stores/artifact-errors.ts


/**
 * A coded error for what GitHub's client threw while it wrote. Its classes are lost on the way out and only texts are left, such as
 * `Failed to CreateArtifact: Received non-retryable error: Failed request: (403) Forbidden: …`.
 */
function uploadError(what, cause) {
    if (cause instanceof errors/* CaretakerError */.xT)
        return cause;
    const text = (0,errors/* messageOf */.bD)(cause);
    const said = firstLine(text);
    if (/insufficient usage|storage quota/i.test(text)) {
        return new errors/* CaretakerError */.xT('store-full', `failed to ${what}: the account’s storage for artifacts is used up`, {
            hint: 'Delete old artifacts (GitHub counts anew only every 6 to 12 hours), keep them for a shorter time by retention-days, buy more storage or raise ' +
                'the budget in the account’s billing settings, or use store: type=folder,path=…',
            cause,
        });
    }
    // Of the storage, the signed address was refused; of the service, the job's own token.
    const status = Number(cause.statusCode ?? /\((\d{3})\)/.exec(text)?.[1]);
    if (status === 401 || status === 403) {
        return new errors/* CaretakerError */.xT('store-denied', `failed to ${what}: ${said}`, {
            hint: 'The job’s own token (ACTIONS_RUNTIME_TOKEN) writes artifacts, and no permission is needed; it ends with the job. Run again, and check the machine’s clock.',
            cause,
        });
    }
    if (/ACTIONS_RUNTIME_TOKEN|ACTIONS_RESULTS_URL|backend IDs/.test(text)) {
        return new errors/* CaretakerError */.xT('store-unsupported', `failed to ${what}: ${said}`, {
            hint: 'Artifacts are written only by an action’s step in a workflow: use store: type=folder,path=… elsewhere.',
            cause,
        });
    }
    if (/not currently supported on GHES/.test(text)) {
        return new errors/* CaretakerError */.xT('store-unsupported', `failed to ${what}: GitHub Enterprise Server has no artifacts of this kind`, {
            hint: 'Use store: type=folder,path=…',
            cause,
        });
    }
    return new errors/* CaretakerError */.xT('store-unreachable', `failed to ${what}: ${said}`, {
        hint: 'Look at https://www.githubstatus.com and at the machine’s connection, then run again.',
        cause,
    });
}

;// CONCATENATED MODULE: ./src/stores/github-rest.ts


const AGENT = 'compose-caretaker';
const PAGE = 100;
/** A storage server that sends nothing for so long is taken for gone. */
const STALL_MS = 60_000;
/** An answer that is not a success. */
class Refused extends Error {
    status;
    mayPass;
    constructor(status, message, mayPass) {
        super(message);
        this.status = status;
        this.mayPass = mayPass;
    }
}
function mayPass(error) {
    return error instanceof Refused ? error.mayPass : isNetworkError(error);
}
function createGitHubRest(options) {
    const { apiUrl, owner, repo, token } = options;
    const repository = `${owner}/${repo}`;
    const root = `${apiUrl.replace(/\/+$/, '')}/repos/${encodeURIComponent(owner)}/${encodeURIComponent(repo)}`;
    async function send(verb, url, headers) {
        const { HttpClient } = await __webpack_require__.e(/* import() */ 942).then(__webpack_require__.bind(__webpack_require__, 44942));
        const client = new HttpClient(AGENT, [], { allowRedirects: false, socketTimeout: STALL_MS });
        let message;
        try {
            ({ message } = await client.request(verb, url, null, headers));
        }
        catch (error) {
            // The client's own text holds the path, and with it the signature of a storage address.
            if (/^Request timeout/.test((0,errors/* messageOf */.bD)(error))) {
                throw new Refused(0, `no answer within ${STALL_MS / 1000} s (ETIMEDOUT)`, true);
            }
            throw error;
        }
        message.setTimeout(STALL_MS, () => message.destroy(new Refused(0, `nothing came for ${STALL_MS / 1000} s`, true)));
        return message;
    }
    async function ask(verb, path) {
        const message = await send(verb, root + path, {
            accept: 'application/vnd.github+json',
            'x-github-api-version': '2022-11-28',
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        });
        const status = message.statusCode ?? 0;
        // Not the client's readBody: it never ends when the connection breaks in the middle.
        const text = await github_rest_textOf(message);
        if (status >= 300 && status < 400)
            return { status, body: undefined, message };
        const body = github_rest_parse(text);
        if (status >= 200 && status < 300) {
            if (body === undefined && status !== 204)
                throw new Refused(status, 'the answer is not JSON', true);
            return { status, body, message };
        }
        const said = body?.message;
        const limited = status === 429 || (status === 403 && message.headers['x-ratelimit-remaining'] === '0');
        throw new Refused(status, `GitHub answered ${status}${typeof said === 'string' ? `, ${firstLine(said)}` : ''}${limited ? ' (rate limit)' : ''}`, status >= 500 || limited);
    }
    async function answer(verb, path, what, needs) {
        try {
            return await retrying(what, options, mayPass, () => ask(verb, path));
        }
        catch (error) {
            throw coded(error, what, needs);
        }
    }
    function coded(error, what, needs) {
        const refused = error instanceof Refused;
        if (refused && !error.mayPass) {
            if (error.status === 410) {
                return new errors/* CaretakerError */.xT('store-missing', `failed to ${what}: it has expired`, {
                    hint: 'Take a younger backup, or one from another store. A longer retention-days keeps artifacts longer.',
                    cause: error,
                });
            }
            if ([401, 403, 404].includes(error.status)) {
                return new errors/* CaretakerError */.xT('store-denied', `failed to ${what}: ${error.message}`, {
                    input: 'github-token',
                    hint: `${token === undefined ? 'Give a token' : 'The token must be valid and'} ${token === undefined ? 'with' : 'have'} the permission "${needs}" on ${repository}: in a workflow by "permissions: ${needs}" for the job.${error.status === 404 ? ' GitHub answers 404 also for what a token may not see.' : ''}`,
                    cause: error,
                });
            }
        }
        else if (!refused && !isNetworkError(error))
            return error;
        return new errors/* CaretakerError */.xT('store-unreachable', `failed to ${what}: ${firstLine((0,errors/* messageOf */.bD)(error))}`, {
            hint: 'Look at https://www.githubstatus.com and at the machine’s connection, then run again.',
            cause: error,
        });
    }
    /** Opens the stored bytes from `at` on. The redirect is asked for anew each time: its signature is good for minutes only. */
    async function open(artifact, at) {
        const { status, message } = await ask('GET', `/actions/artifacts/${artifact.id}/zip`);
        const { location } = message.headers;
        if (status < 300 || location === undefined)
            throw new Refused(status, 'GitHub names no address to download from', true);
        const blob = await send('GET', location, at === 0 ? {} : { range: `bytes=${at}-` });
        if (blob.statusCode === 200 || blob.statusCode === 206)
            return blob;
        blob.resume();
        // 404 and 403 come by themselves when a signature is too old or the copy that answers lags behind.
        throw new Refused(blob.statusCode ?? 0, `the storage answered ${blob.statusCode}`, true);
    }
    const list = { what: `list the artifacts of ${repository}`, needs: 'actions: read' };
    return {
        async artifacts({ runId, name } = {}) {
            const base = runId === undefined ? '/actions/artifacts' : `/actions/runs/${runId}/artifacts`;
            const filter = name === undefined ? '' : `&name=${encodeURIComponent(name)}`;
            // By id: an artifact that comes into being meanwhile shifts the pages.
            const found = new Map();
            for (let page = 1;; page += 1) {
                const { body } = await answer('GET', `${base}?per_page=${PAGE}&page=${page}${filter}`, list.what, list.needs);
                const { artifacts: items, total_count: total } = (body ?? {});
                if (!Array.isArray(items)) {
                    throw new errors/* CaretakerError */.xT('store-unreachable', `failed to ${list.what}: the answer holds no artifacts`, {
                        hint: 'Something between this machine and GitHub may answer in its place: look at proxy settings.',
                    });
                }
                for (const item of items) {
                    const artifact = listedArtifact(item);
                    if (artifact !== null)
                        found.set(artifact.id, artifact);
                }
                const last = typeof total === 'number' ? page * PAGE >= total : items.length < PAGE;
                if (last || items.length === 0)
                    return [...found.values()].sort((one, other) => other.id - one.id);
            }
        },
        async checkListing() {
            await answer('GET', '/actions/artifacts?per_page=1', list.what, list.needs);
        },
        async isPublic() {
            const what = `find out whether ${repository} is public`;
            const { body } = await answer('GET', '', what, 'metadata: read');
            const isPrivate = body?.private;
            if (typeof isPrivate !== 'boolean') {
                throw new errors/* CaretakerError */.xT('store-unreachable', `failed to ${what}: the answer does not say`);
            }
            return !isPrivate;
        },
        async deleteArtifact(artifact) {
            const what = `delete the artifact ${artifact.name} of ${repository}`;
            try {
                await answer('DELETE', `/actions/artifacts/${artifact.id}`, what, 'actions: write');
            }
            catch (error) {
                const { cause } = error;
                if (!(cause instanceof Refused && cause.status === 404))
                    throw error;
            }
        },
        async *content(artifact) {
            const what = `download the artifact ${artifact.name} of ${repository}`;
            let at = 0;
            for (let attempt = 0;; attempt += 1) {
                options.signal?.throwIfAborted();
                try {
                    const message = await open(artifact, at);
                    let skip = message.statusCode === 206 ? 0 : at;
                    for await (const piece of message) {
                        const fresh = piece.subarray(skip);
                        skip -= piece.length - fresh.length;
                        if (fresh.length === 0)
                            continue;
                        at += fresh.length;
                        attempt = 0;
                        yield fresh;
                    }
                    return;
                }
                catch (error) {
                    if (!mayPass(error) || !(await pause(what, options, attempt, error)))
                        throw coded(error, what, 'actions: read');
                }
            }
        },
    };
}
async function github_rest_textOf(message) {
    const pieces = [];
    for await (const piece of message)
        pieces.push(piece);
    return Buffer.concat(pieces).toString('utf8');
}
function github_rest_parse(text) {
    try {
        return JSON.parse(text);
    }
    catch {
        return undefined; // The caller tells what that means for its status.
    }
}
/** Null for an entry that lacks what every artifact has. */
function listedArtifact(item) {
    const { id, name, size_in_bytes, expired, expires_at, digest, workflow_run } = (item ?? {});
    if (typeof id !== 'number' || typeof name !== 'string')
        return null;
    const runId = workflow_run?.id;
    return {
        id,
        name,
        bytes: typeof size_in_bytes === 'number' ? size_in_bytes : 0,
        expired: expired === true,
        expiresAt: typeof expires_at === 'string' ? new Date(expires_at) : undefined,
        sha256: typeof digest === 'string' && digest.startsWith('sha256:') ? digest.slice('sha256:'.length) : undefined,
        runId: typeof runId === 'number' ? runId : undefined,
    };
}

;// CONCATENATED MODULE: ./src/stores/artifact.ts













/** A manifest's file is a few kilobytes; what comes from outside is not read without an end. */
const artifact_MAX_MANIFEST_BYTES = 4 * 1024 * 1024;
/**
 * Backups as workflow artifacts, one raw artifact a file: its name is the file's, its digest the file's own. Written by GitHub's client
 * with the job's runtime token (no permission needed), found and read by the REST API with `token` (`actions: read`), removed by it
 * (`actions: write`).
 *
 * Further codes: `store-exists`, `artifact-public` and `artifact-visibility-unknown` (check('write') on a public repository, or one of
 * which nobody could tell).
 */
function createArtifactStore(options) {
    const { token, log, env = process.env, clock = systemClock } = options;
    if (token !== undefined)
        log.mask(token);
    return new ArtifactStore({ ...options, env, clock });
}
class ArtifactStore {
    kind = 'artifact';
    name;
    #options;
    #repository;
    #serverUrl;
    #retry;
    #rest;
    constructor(options) {
        const { owner, repo, token, log, clock, env, signal } = options;
        this.#options = options;
        this.#repository = `${owner}/${repo}`;
        this.name = `workflow artifacts of ${this.#repository}`;
        this.#serverUrl = (env['GITHUB_SERVER_URL'] || 'https://github.com').replace(/\/+$/, '');
        this.#retry = { clock, log, signal };
        const apiUrl = env['GITHUB_API_URL'] || 'https://api.github.com';
        this.#rest = createGitHubRest({ ...this.#retry, apiUrl, owner, repo, token });
    }
    async check(purpose) {
        this.#refuseServer();
        if (purpose === 'read') {
            await this.#rest.checkListing();
            return;
        }
        if (this.#options.allowPublic !== true)
            await this.#refusePublic();
        const [wished, kept] = [this.#options.retentionDays, this.#retentionDays()];
        if (wished !== kept) {
            this.#options.log.warn(`retention-days=${wished} is more than ${this.#repository} allows: its artifacts are kept for ${kept} days`);
        }
        const what = `reach the artifact service for ${this.#repository}`;
        const client = await this.#client();
        await retrying(what, this.#retry, isNetworkError, () => client.listArtifacts()).catch((error) => {
            throw uploadError(what, error);
        });
    }
    async put(file) {
        const client = await this.#client();
        const what = `store ${file.name} among the ${this.name}`;
        const { size } = await (0,promises_.stat)(file.path).catch((error) => {
            throw (0,system_files/* fileError */.zS)(`read ${file.path}`, error);
        });
        if (size !== file.bytes) {
            throw new errors/* CaretakerError */.xT('store-damaged', `failed to ${what}: the file has ${size} bytes instead of ${file.bytes}`, {
                hint: 'The file changed after it was verified. Run again; if it happens again, look at the machine’s memory and disk.',
            });
        }
        const retentionDays = this.#retentionDays();
        let taken;
        try {
            await retrying(what, this.#retry, isNetworkError, () => client.uploadArtifact(file.name, [file.path], external_node_path_default().dirname(file.path), {
                skipArchive: true,
                ...(retentionDays === undefined ? {} : { retentionDays }),
            }));
        }
        catch (error) {
            if (!isNameTaken(error))
                throw uploadError(what, error);
            taken = error;
        }
        // Not the upload's own result: what counts is what the service says that it has.
        const stored = await this.#ownArtifact(client, file.name, what);
        if (stored === null)
            throw notListed(what, taken);
        const wrong = difference(stored, file);
        if (wrong === undefined)
            return { id: String(stored.id), url: this.#url(this.#options.runId, stored.id) };
        if (taken !== undefined) {
            throw new errors/* CaretakerError */.xT('store-exists', `failed to ${what}: this run has another artifact of that name`, {
                hint: 'Two backups of one project began in the same second. Run again.',
                cause: taken,
            });
        }
        // A manifest that stayed would make the backup look complete.
        const removal = await client.deleteArtifact(file.name).then(() => undefined, (error) => error);
        throw new errors/* CaretakerError */.xT('store-damaged', `failed to ${what}: ${wrong}`, {
            hint: removal === undefined
                ? 'The damaged artifact was removed. Run again; if it happens again, look at the machine’s memory and disk.'
                : `Delete the artifact ${stored.id} by hand: removing it failed as well (${(0,errors/* messageOf */.bD)(removal)}). Then run again.`,
        });
    }
    async list(project) {
        this.#refuseServer();
        const wanted = project === undefined ? undefined : sanitizeProject(project);
        const found = new Map();
        const artifacts = (await this.#rest.artifacts()).filter(({ expired }) => !expired);
        // A drill is another run than the one that took the backup.
        const proofs = proofsByBackup(artifacts.map(({ name }) => name));
        for (const [, files] of groups(artifacts)) {
            const backup = this.#complete(files, proofs);
            // Newest first: of several with one name the first that is complete.
            if (backup === null || (wanted !== undefined && backup.project !== wanted) || found.has(backup.name))
                continue;
            found.set(backup.name, backup);
        }
        return [...found.values()].sort((one, other) => other.createdAt.getTime() - one.createdAt.getTime());
    }
    async readManifest(backup) {
        this.#refuseServer();
        const what = `read the manifest of ${backup.name} from the ${this.name}`;
        const artifact = await this.#find(backup, names_manifestFile(backup.name), undefined, what);
        const pieces = [];
        let bytes = 0;
        for await (const piece of this.#rest.content(artifact)) {
            bytes += piece.length;
            if (bytes > artifact_MAX_MANIFEST_BYTES)
                throw artifact_damaged(what, 'it is larger than any manifest');
            pieces.push(piece);
        }
        const content = Buffer.concat(pieces);
        const sha256 = (0,external_node_crypto_.createHash)('sha256').update(content).digest('hex');
        if (artifact.sha256 !== undefined && sha256 !== artifact.sha256) {
            throw artifact_damaged(what, 'its SHA-256 is not the one that it was stored with');
        }
        try {
            return JSON.parse(content.toString('utf8'));
        }
        catch (error) {
            throw artifact_damaged(what, 'it is not JSON', error);
        }
    }
    async fetch(backup, file, toPath) {
        this.#refuseServer();
        const what = `fetch ${file.file} from the ${this.name}`;
        const artifact = await this.#find(backup, file.file, file.sha256, what);
        if (artifact.bytes !== file.bytes) {
            throw artifact_damaged(what, `it has ${artifact.bytes} bytes, the manifest says ${file.bytes}`);
        }
        const target = await (0,promises_.open)(toPath, 'wx', 0o600).catch((error) => {
            throw (0,system_files/* fileError */.zS)(`write ${toPath}`, error);
        });
        try {
            const hash = (0,external_node_crypto_.createHash)('sha256');
            let bytes = 0;
            for await (const piece of this.#rest.content(artifact)) {
                hash.update(piece);
                bytes += piece.length;
                if (bytes > file.bytes)
                    throw artifact_damaged(what, `more comes than the ${file.bytes} bytes of the manifest`);
                await target.writeFile(piece).catch((error) => {
                    throw (0,system_files/* fileError */.zS)(`write ${toPath}`, error);
                });
                this.#options.log.progress(file.file, bytes, file.bytes);
            }
            if (bytes !== file.bytes)
                throw artifact_damaged(what, `${bytes} bytes came, the manifest says ${file.bytes}`);
            if (hash.digest('hex') !== file.sha256)
                throw artifact_damaged(what, 'its SHA-256 is not the one in the manifest');
            await target.close();
        }
        catch (error) {
            await target.close();
            await (0,promises_.rm)(toPath, { force: true });
            throw error;
        }
    }
    async keepProof(backup, proof) {
        const file = proofFile(backup.name, proof);
        this.#refuseServer();
        await this.#find(backup, names_manifestFile(backup.name), undefined, `store ${file} among the ${this.name}`);
        const directory = await (0,promises_.mkdtemp)(external_node_path_default().join((0,external_node_os_.tmpdir)(), 'caretaker-'));
        try {
            await this.put(await writeText(directory, file, formatProof(proof)));
        }
        finally {
            await (0,promises_.rm)(directory, { recursive: true, force: true });
        }
    }
    async delete(backup) {
        this.#refuseServer();
        // A run that was taken up again may have stored the same backup a second time.
        const manifests = await this.#rest.artifacts({ name: names_manifestFile(backup.name) });
        for (const manifest of manifests)
            await this.#rest.deleteArtifact(manifest);
        const runs = new Set([...manifests.map(({ runId }) => runId), backup.runId]);
        let removed = manifests.length;
        for (const runId of runs) {
            const files = (await this.#rest.artifacts({ runId })).filter(({ name }) => name.startsWith(`${backup.name}.`));
            for (const file of files)
                await this.#rest.deleteArtifact(file);
            removed += files.length;
        }
        for (const { file } of backup.proofs) {
            for (const proof of await this.#rest.artifacts({ name: file }))
                await this.#rest.deleteArtifact(proof);
        }
        if (removed === 0)
            throw artifact_missing(`delete ${backup.name} from the ${this.name}`, 'there is no such backup');
    }
    /** The backup that the files of one run and one backup's name make up; null while something is missing. */
    #complete(files, proofs) {
        const manifest = files.find(({ name }) => backupOfManifest(name) !== null);
        const name = manifest === undefined ? null : backupOfManifest(manifest.name);
        if (manifest === undefined || name === null)
            return null;
        const { project, at } = parseBackupName(name);
        const hasInstructions = files.some((file) => file.name === instructionsFile(name));
        // Which parts there must be stands in the manifest, and that costs a download: a part that expired before it is found by the fetch.
        if (!hasInstructions || !files.some((file) => file.name.endsWith('.zst')))
            return null;
        const distinct = new Map(files.toReversed().map((file) => [file.name, file]));
        const ends = [...distinct.values()].flatMap(({ expiresAt }) => expiresAt === undefined ? [] : [expiresAt.getTime()]);
        return {
            name,
            project,
            createdAt: at,
            bytes: [...distinct.values()].reduce((sum, { bytes }) => sum + bytes, 0),
            expiresAt: ends.length === 0 ? undefined : new Date(Math.min(...ends)),
            runId: manifest.runId,
            ids: files.map(({ id }) => String(id)),
            url: this.#url(manifest.runId, manifest.id),
            proofs: proofs.get(name) ?? [],
        };
    }
    /** The artifact of that name that belongs to the backup: the one with the digest, else the newest. */
    async #find(backup, name, sha256, what) {
        const all = await this.#rest.artifacts({ runId: backup.runId, name });
        const there = all.filter(({ expired }) => !expired);
        const artifact = there.find((candidate) => candidate.sha256 === sha256) ?? there[0];
        if (artifact !== undefined)
            return artifact;
        throw artifact_missing(what, all.length === 0 ? 'there is no such artifact' : 'it has expired');
    }
    /** Null when this run has none that is finished. */
    async #ownArtifact(client, name, what) {
        try {
            const { artifact } = await retrying(what, this.#retry, isNetworkError, () => client.getArtifact(name));
            return artifact;
        }
        catch (error) {
            if (error instanceof Error && error.name === 'ArtifactNotFoundError')
                return null;
            throw uploadError(what, error);
        }
    }
    /** GitHub's client, loaded when it is needed: it costs 100 MiB. It prints its progress to standard output by itself. */
    async #client() {
        this.#refuseServer();
        const { env } = this.#options;
        if (!env['ACTIONS_RUNTIME_TOKEN'] || !env['ACTIONS_RESULTS_URL']) {
            throw new errors/* CaretakerError */.xT('store-unsupported', 'failed to write artifacts: this process is not an action’s step in a workflow', {
                input: 'store',
                hint: 'Use store: type=folder,path=… here. A run: step lacks what an action has: call the action by uses: instead.',
            });
        }
        const { DefaultArtifactClient } = await Promise.all(/* import() */[__webpack_require__.e(942), __webpack_require__.e(828)]).then(__webpack_require__.bind(__webpack_require__, 75828));
        return new DefaultArtifactClient();
    }
    /** The client's own rule, earlier and with a way out. */
    #refuseServer() {
        const host = new URL(this.#serverUrl).hostname.toLowerCase();
        if (host === 'github.com' || host.endsWith('.ghe.com') || host.endsWith('.localhost'))
            return;
        throw new errors/* CaretakerError */.xT('store-unsupported', `failed to use workflow artifacts: ${host} is a GitHub Enterprise Server`, {
            input: 'store',
            hint: 'GitHub Enterprise Server has no artifacts of this kind: use store: type=folder,path=…',
        });
    }
    async #refusePublic() {
        const { isPublic, reason } = await this.#visibility();
        if (isPublic === false)
            return;
        const ways = 'Use store: type=folder,path=…, keep the workflow in a private repository, or accept it by allow: public-artifacts.';
        if (isPublic) {
            throw new errors/* CaretakerError */.xT('artifact-public', `${this.#repository} is public: anybody could download its backups`, {
                input: 'store',
                hint: ways,
            });
        }
        throw new errors/* CaretakerError */.xT('artifact-visibility-unknown', `failed to find out whether ${this.#repository} is public, where anybody could download its backups: ${(0,errors/* messageOf */.bD)(reason)}`, { input: 'store', hint: `Give a github-token that may read the repository. ${ways}`, cause: reason });
    }
    /** By the API, which knows it now; by the event's payload, which may be of an earlier day, only where the API does not tell. */
    async #visibility() {
        let reason = new Error('there is no github-token, and the event does not tell');
        if (this.#options.token !== undefined) {
            try {
                return { isPublic: await this.#rest.isPublic() };
            }
            catch (error) {
                reason = error;
            }
        }
        const file = this.#options.env['GITHUB_EVENT_PATH'];
        if (!file)
            return { isPublic: undefined, reason };
        try {
            const { repository } = JSON.parse(await (0,promises_.readFile)(file, 'utf8'));
            const isOurs = String(repository?.full_name).toLowerCase() === this.#repository.toLowerCase();
            if (isOurs && typeof repository?.private === 'boolean')
                return { isPublic: !repository.private };
        }
        catch (error) {
            this.#options.log.debug(`the event’s payload can't be read: ${(0,errors/* messageOf */.bD)(error)}`);
        }
        return { isPublic: undefined, reason };
    }
    /** What the client would do as well, in every upload anew and with a warning each time. */
    #retentionDays() {
        const { retentionDays, env } = this.#options;
        const longest = Number.parseInt(env['GITHUB_RETENTION_DAYS'] ?? '', 10);
        return retentionDays !== undefined && longest < retentionDays ? longest : retentionDays;
    }
    #url(runId, artifactId) {
        return runId === undefined
            ? undefined
            : `${this.#serverUrl}/${this.#repository}/actions/runs/${runId}/artifacts/${artifactId}`;
    }
}
/** A backup's own files by the run that stored them, each group in the given order. Other artifacts are left out. */
function groups(artifacts) {
    const byBackup = new Map();
    for (const artifact of artifacts) {
        const backup = artifact.name.split('.', 1)[0] ?? '';
        if (parseBackupName(backup) === null || parseProofFile(artifact.name) !== null)
            continue;
        const key = `${artifact.runId}/${backup}`;
        const group = byBackup.get(key);
        if (group === undefined)
            byBackup.set(key, [artifact]);
        else
            group.push(artifact);
    }
    return byBackup;
}
function difference(stored, file) {
    if (stored.size !== file.bytes)
        return `the service has ${stored.size} bytes, the file has ${file.bytes}`;
    if (stored.digest === undefined || stored.digest === `sha256:${file.sha256}`)
        return undefined;
    return `the service has SHA-256 ${stored.digest.replace('sha256:', '')}, the file had ${file.sha256}`;
}
function isNameTaken(error) {
    return /\(409\)/.test((0,errors/* messageOf */.bD)(error));
}
function notListed(what, taken) {
    if (taken === undefined) {
        return new errors/* CaretakerError */.xT('store-missing', `failed to ${what}: GitHub took it and does not have it`, {
            hint: 'Look at https://www.githubstatus.com, then run again.',
        });
    }
    return new errors/* CaretakerError */.xT('store-unreachable', `failed to ${what}: an upload of it broke off, and its name stays taken`, {
        hint: 'Run again: a new run, or another attempt of this one, begins with free names.',
        cause: taken,
    });
}
function artifact_damaged(what, why, cause) {
    return new errors/* CaretakerError */.xT('store-damaged', `failed to ${what}: ${why}`, {
        hint: 'Take another backup: this one is not what was stored. RESTORE.md beside it still fits the parts that are whole.',
        cause,
    });
}
function artifact_missing(what, why) {
    return new errors/* CaretakerError */.xT('store-missing', `failed to ${what}: ${why}`, {
        hint: 'List the backups again: artifacts end with their retention, and can be deleted by hand.',
    });
}

;// CONCATENATED MODULE: ./src/stores/stores.ts


/** Opens nothing yet: `check` tells whether the store can be used. */
function openStore(spec, tools) {
    const { log, env, githubToken, allowPublic, clock, signal } = tools;
    switch (spec.type) {
        case 'folder':
            return createFolderStore({ directory: spec.path, log });
        case 'artifact': {
            const [owner = '', repo = ''] = spec.repository.split('/');
            const runId = Number.parseInt(env['GITHUB_RUN_ID'] ?? '', 10);
            return createArtifactStore({
                ...{ owner, repo, log, env, allowPublic, signal, token: githubToken, retentionDays: spec.retentionDays },
                runId: Number.isNaN(runId) ? undefined : runId,
                ...(clock === undefined ? {} : { clock }),
            });
        }
    }
}

// EXTERNAL MODULE: ./node_modules/@actions/exec/lib/exec.js + 3 modules
var exec = __webpack_require__(81260);
;// CONCATENATED MODULE: ./src/system/live-processes.ts


/** Between the polite signal and the one that can't be refused. */
const GRACE_MS = 5000;
const live = new Set();
/** Remembers a running child for `killChildren` until it has ended. */
function registerLive(kill, ended) {
    const entry = { kill, ended };
    live.add(entry);
    const forget = () => {
        live.delete(entry);
    };
    ended.then(forget, forget);
}
/** Ends every program that runs now, SIGTERM first, SIGKILL 5 s later. Fulfilled when none is left. For the signal handler. */
async function killChildren() {
    const now = [...live];
    for (const { kill } of now)
        kill();
    await Promise.allSettled(now.map(({ ended }) => ended));
}
/**
 * Begins to end a child that leads a process group; the answer is to be called when the child has ended, and ends at once what
 * is left of it, so that nothing of a command still acts when its failure is reported.
 *
 * `descendants` spares what the child has sent into the background: an engine's network helpers stay in the group of whoever ran
 * `up`, and a container whose helper is killed runs on, unreachable.
 */
function killTree(pid, scope) {
    let family = [];
    const signal = (name) => {
        if (scope === 'group')
            return send(-pid, name);
        family = [...family, ...descendants(pid)];
        for (const one of family)
            if (processStat(one.pid)?.startTime === one.startTime)
                send(one.pid, name);
    };
    signal('SIGTERM');
    const timer = setTimeout(() => signal('SIGKILL'), GRACE_MS);
    return () => {
        clearTimeout(timer);
        signal('SIGKILL');
    };
}
function send(pid, signal) {
    try {
        process.kill(pid, signal);
    }
    catch (error) {
        // ESRCH: it has ended already. EPERM: sudo or a setuid helper runs as another user; the rest of its group was signalled.
        const { code } = error;
        if (code !== 'ESRCH' && code !== 'EPERM')
            throw error;
    }
}
/** The process and all below it by parentage, as far as they live. */
function descendants(root) {
    const children = new Map();
    const starts = new Map();
    for (const name of (0,external_node_fs_.readdirSync)('/proc')) {
        const pid = Number(name);
        const stat = Number.isInteger(pid) ? processStat(pid) : null;
        if (stat === null)
            continue;
        starts.set(pid, stat.startTime);
        children.set(stat.parent, [...(children.get(stat.parent) ?? []), pid]);
    }
    const found = [];
    const walk = (pid) => {
        const startTime = starts.get(pid);
        if (startTime !== undefined)
            found.push({ pid, startTime });
        for (const child of children.get(pid) ?? [])
            walk(child);
    };
    walk(root);
    return found;
}

;// CONCATENATED MODULE: ./src/system/author-command.ts









/*
 * Around the author's text, for what @actions/exec does not do:
 *
 * - It says first the number of its process group, by which the whole command can be ended.
 * - It closes standard input. Given as an empty `input`, a command that ends at once is an unhandled EPIPE.
 * - It gives the command a true pipe: Node's own are sockets, on which `echo … > /dev/stderr` fails.
 * - A program that the command leaves in the background (a start command) has that pipe open. Its reader stays with it, told by
 *   SIGUSR1 to let go of us, or the next word of that program would kill it (SIGPIPE). Before and after it waits for that it ignores the signal, which comes
 *   late on a busy machine, when our end of the pipe is closed and the copying has ended by itself.
 */
const BASH = `exec 3>&1 </dev/null
trap '' USR1
exec > >(trap '' PIPE INT TERM; exec 2>/dev/null 3>&-; cat <&0 & copy=$!; trap 'kill -KILL $copy' USR1; wait; trap '' USR1; exec cat >/dev/null) 2>&1
trap - USR1
echo "$$ $!" >&3
exec 3>&-
exec bash -euo pipefail -c "$1" bash`;
const SH = `echo "$$"
exec sh -eu -c "$1" sh 2>&1 </dev/null`;
/**
 * Runs a shell command that the workflow's author wrote: `bash -euo pipefail`, or `sh -eu` where there is no bash. Its input is empty.
 * Any exit code is an answer. Throws `command-missing` (no setsid), `command-failed` (could not start), `command-timeout`, `cancelled`;
 * nothing of the command runs on then.
 */
const runAuthorCommand = async (text, options) => {
    const { cwd, env, onLine, timeoutMs, signal, outlivesJob } = options;
    if (signal?.aborted)
        throw cancelled(signal);
    const tail = new TextTail(64 * 1024);
    let group;
    let reader = 0;
    let why;
    let broken;
    let finish;
    const stop = () => {
        if (group !== undefined)
            finish ??= killTree(group, 'group');
    };
    const lines = new LineCutter((line) => {
        if (group === undefined) {
            [group = 0, reader = 0] = line.split(' ').map(Number);
            if (why !== undefined)
                stop();
            return;
        }
        tail.push(Buffer.from(`${line}\n`));
        if (broken)
            return;
        try {
            onLine?.(line);
        }
        catch (error) {
            broken = { error };
            stop();
        }
    });
    const timer = timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            why ??= 'timeout';
            stop();
        }, timeoutMs);
    const onAbort = () => {
        why ??= 'cancelled';
        stop();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    const shell = (await isOnPath('bash')) ? ['bash', '-c', BASH] : ['sh', '-c', SH];
    const running = (0,exec/* exec */.m)('setsid', [...shell, 'caretaker', text], {
        cwd,
        env: { ...process.env, ...env, ...(outlivesJob ? { RUNNER_TRACKING_ID: '' } : {}) },
        silent: true,
        ignoreReturnCode: true,
        // After the end of the process, how long to wait for a grandchild that holds its pipes.
        delay: 300,
        listeners: { stdout: (data) => lines.push(data), stderr: (data) => lines.push(data) },
    });
    registerLive(() => {
        why ??= 'cancelled';
        stop();
    }, running);
    let exitCode;
    try {
        exitCode = await running;
    }
    catch (error) {
        throw new errors/* CaretakerError */.xT('command-failed', `failed to run the command "${text}": ${(0,errors/* messageOf */.bD)(error)}`, {
            cause: error,
        });
    }
    finally {
        finish?.();
        letGo(reader, group);
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
    }
    lines.end();
    if (broken)
        throw broken.error;
    const last = lastLines(tail.text(), 40, 4000);
    if (why === 'timeout') {
        throw new errors/* CaretakerError */.xT('command-timeout', `failed to run the command "${text}": not done after ${(timeoutMs ?? 0) / 1000} s: ${lastLines(last)}`);
    }
    if (why === 'cancelled') {
        throw signal?.aborted
            ? cancelled(signal)
            : new errors/* CaretakerError */.xT('cancelled', `the command "${text}" was ended before it was done`);
    }
    // @actions/exec answers null, against its types, for a process that a signal ended.
    return { exitCode: exitCode ?? 128, tail: last };
};
/** An open output would keep this program alive as long as what was left in the background. */
function letGo(reader, group) {
    // Mostly it has ended, and its number may be another's by now.
    if (reader > 0 && processStat(reader)?.group === group)
        process.kill(reader, 'SIGUSR1');
}
async function isOnPath(program) {
    for (const directory of (process.env['PATH'] ?? '').split((external_node_path_default()).delimiter)) {
        try {
            await (0,promises_.access)(external_node_path_default().join(directory, program), external_node_fs_.constants.X_OK);
            return true;
        }
        catch {
            continue; // Not there, or not ours to run: the next directory.
        }
    }
    return false;
}

;// CONCATENATED MODULE: ./src/system/node-processes.ts







const STDOUT_KEPT = 1024 * 1024;
const STDERR_KEPT = 64 * 1024;
/** How long output may lag behind its process's end before a daemonised grandchild is taken to hold the pipe. */
const DRAIN_MS = 300;
/** `Processes` on Node's own spawn: every child in a session, and so in a process group, of its own. */
const nodeProcesses = {
    async run(command, options = {}) {
        const clean = redactor(command.env);
        const stdout = new TextTail(STDOUT_KEPT);
        const stderr = new TextTail(STDERR_KEPT);
        const child = launch(command, options);
        let broken;
        const cutters = [];
        const collect = (stream, tail) => {
            const { onLine } = options;
            const cutter = onLine && new LineCutter((line) => onLine(clean(line)));
            if (cutter)
                cutters.push(cutter);
            stream.on('data', (chunk) => {
                tail.push(chunk);
                if (broken)
                    return;
                try {
                    cutter?.push(chunk);
                }
                catch (error) {
                    // Thrown in an event handler it would end this whole program.
                    broken = { error };
                    child.kill();
                }
            });
        };
        collect(child.process.stdout, stdout);
        collect(child.process.stderr, stderr);
        child.process.stdin.end(options.input ?? '');
        const ending = await child.ended;
        await node_processes_drained(child, options.outlivesJob === true);
        if (broken)
            throw broken.error;
        for (const cutter of cutters)
            cutter.end();
        const accept = options.accept ?? [0];
        if (ending.why !== null || ending.code === null || !accept.includes(ending.code)) {
            throw node_processes_failure(command, ending, clean(lastLines(stderr.text()) || lastLines(stdout.text())), options);
        }
        return { exitCode: ending.code, stdout: stdout.text(), stderr: stderr.text() };
    },
    stream(command, options = {}) {
        const clean = redactor(command.env);
        let child;
        const stderr = new TextTail(STDERR_KEPT);
        try {
            child = launch(command, options);
        }
        catch (error) {
            return neverStarted(error);
        }
        child.process.stderr.on('data', (chunk) => stderr.push(chunk));
        const { stdout } = child.process;
        // Not stdout itself: when the process ends, Node sets it flowing, and drops what is in it where nobody has begun to read.
        const output = stdout.pipe(new external_node_stream_.PassThrough(), { end: false });
        output.on('error', () => undefined);
        output.once('close', () => stdout.destroy());
        stdout.once('end', () => {
            if (child.process.pid !== undefined)
                output.end();
        });
        stdout.once('close', () => {
            if (!output.writableEnded)
                done.then(() => output.end(), (error) => output.destroy(error));
        });
        const done = (async () => {
            const ending = await child.ended;
            await node_processes_drained({ process: { stdout: null, stderr: child.process.stderr } }, false);
            if (ending.why !== null || ending.code !== 0) {
                throw node_processes_failure(command, ending, clean(lastLines(stderr.text())), options);
            }
        })();
        done.catch(() => undefined);
        return { stdin: child.process.stdin, stdout: output, done, kill: child.kill };
    },
};
function launch(command, options) {
    const { signal, timeoutMs, outlivesJob = false } = options;
    if (signal?.aborted)
        throw cancelled(signal);
    const [program, ...args] = command.argv;
    let child;
    try {
        child = (0,external_node_child_process_.spawn)(program, args, {
            cwd: command.cwd,
            // The runner ends, after the job, all whose environment carries its tracking id.
            env: { ...process.env, ...command.env, ...(outlivesJob ? { RUNNER_TRACKING_ID: '' } : {}) },
            detached: true,
            stdio: ['pipe', 'pipe', 'pipe'],
        });
    }
    catch (error) {
        // No cause and no text of Node's: for a NUL byte it quotes the argument or the variable with its value.
        const { code } = error;
        throw new errors/* CaretakerError */.xT('command-failed', `failed to start ${program}: the system refused its arguments or environment (${code})`);
    }
    // A program that does not read its input closes it first (EPIPE): its exit code tells whether that was right.
    child.stdin.on('error', () => undefined);
    child.stdout.on('error', () => undefined);
    child.stderr.on('error', () => undefined);
    let why = null;
    let stop;
    const end = (reason) => {
        if (why !== null || child.pid === undefined || child.exitCode !== null || child.signalCode !== null)
            return;
        why = reason;
        stop = killTree(child.pid, outlivesJob ? 'descendants' : 'group');
    };
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => end('timeout'), timeoutMs);
    const onAbort = () => end('cancelled');
    signal?.addEventListener('abort', onAbort, { once: true });
    const ended = new Promise((resolve, reject) => {
        child.once('error', (error) => {
            if (child.pid === undefined)
                reject(notStarted(command, error));
        });
        child.once('exit', (code, by) => {
            stop?.();
            resolve({ code, signal: by, why });
        });
    }).finally(() => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
    });
    ended.catch(() => undefined);
    if (child.pid !== undefined)
        registerLive(() => end('killed'), ended);
    return { process: child, ended, kill: () => end('killed') };
}
/**
 * Waits until both outputs are read to their end, but not for a grandchild that went into the background with the pipe open. Where it is
 * meant to stay, its pipe gets another reader, or its next word would kill it (SIGPIPE).
 */
async function node_processes_drained(child, stays) {
    const streams = [child.process.stdout, child.process.stderr].filter((stream) => stream !== null);
    await Promise.all(streams.map(async (stream) => {
        if (stream.closed)
            return;
        if (await closesSoon(stream))
            return;
        if (stays) {
            (0,external_node_child_process_.spawn)('cat', [], {
                stdio: [stream, 'ignore', 'ignore'],
                detached: true,
                env: { ...process.env, RUNNER_TRACKING_ID: '' },
            })
                .on('error', () => undefined)
                .unref();
        }
        stream.destroy();
    }));
}
async function closesSoon(stream) {
    const closed = new Promise((resolve) => stream.once('close', () => resolve(true)));
    // Four rounds at most while something still comes: a busy machine reads slowly, a daemon talks for ever.
    for (let round = 0; round < 4; round++) {
        let came = false;
        const note = () => {
            came = true;
        };
        stream.on('data', note);
        let timer;
        const over = new Promise((resolve) => {
            // setImmediate: what is already waiting in the pipe is read before the verdict.
            timer = setTimeout(() => setImmediate(() => resolve(false)), DRAIN_MS);
        });
        const isClosed = await Promise.race([closed, over]);
        clearTimeout(timer);
        stream.off('data', note);
        if (isClosed)
            return true;
        if (!came)
            return false;
    }
    return false;
}
function notStarted(command, error) {
    const [program] = command.argv;
    if (error.code === 'ENOENT' && command.cwd !== undefined && !(0,external_node_fs_.existsSync)(command.cwd)) {
        return new errors/* CaretakerError */.xT('command-failed', `failed to start ${program}: there is no directory ${command.cwd}`);
    }
    if (error.code === 'ENOENT') {
        return new errors/* CaretakerError */.xT('command-missing', `failed to start ${program}: there is no such program on PATH`, {
            hint: `Install ${program}, or put its directory on the PATH of the runner's user.`,
            cause: error,
        });
    }
    return new errors/* CaretakerError */.xT('command-failed', `failed to start ${program}: ${(0,errors/* messageOf */.bD)(error)}`, { cause: error });
}
function node_processes_failure(command, ending, words, options) {
    const shown = redactor(command.env)(command.argv.join(' ')).slice(0, 300);
    const after = words === '' ? '' : `: ${words}`;
    switch (ending.why) {
        case 'timeout':
            return new errors/* CaretakerError */.xT('command-timeout', `failed to run ${shown}: not done after ${(options.timeoutMs ?? 0) / 1000} s${after}`);
        case 'cancelled':
            return options.signal
                ? cancelled(options.signal)
                : new errors/* CaretakerError */.xT('cancelled', `cancelled while ${shown} ran`);
        case 'killed':
            return new errors/* CaretakerError */.xT('cancelled', `${shown} was ended before it was done`);
        case null: {
            const how = ending.signal === null ? `exit code ${ending.code}` : `ended by ${ending.signal}`;
            return new errors/* CaretakerError */.xT('command-failed', `failed to run ${shown}: ${how}${after}`);
        }
    }
}
/** A stream of a program that could not even be tried: all its ends say why. */
function neverStarted(error) {
    const done = Promise.reject(error);
    done.catch(() => undefined);
    const stdin = new external_node_stream_.PassThrough();
    const stdout = new external_node_stream_.PassThrough();
    for (const end of [stdin, stdout]) {
        end.on('error', () => undefined);
        end.destroy(error);
    }
    return { stdin, stdout, done, kill: () => undefined };
}

;// CONCATENATED MODULE: ./src/open.ts





















/** Finds the project and opens everything around it. Throws the coded errors of the rooms. */
async function open_open(settings, world) {
    const { project, missing } = await openOrMiss(settings, world);
    await maskSecrets(project, world.log);
    const around = openRest(settings, world, project);
    if (settings.mode === 'list' || settings.mode === 'status') {
        return { project, checkout: null, plan: undefined, probes: [], ...around };
    }
    const checkout = await openCheckout(settings.sourceDirectory ?? project.directory, { processes: nodeProcesses, log: world.log, clock: systemClock, ...tokenFor(settings.githubToken, world.env) }, { named: settings.sourceDirectory !== undefined });
    const [plan, probes] = await Promise.all([resolvable(project, settings.data), probesFor(settings, project)]);
    return { project, checkout, plan, probes, ...around, ...(missing === undefined ? {} : { missing }) };
}
/** A drill that only reads a backup needs nothing of the application; a restore may bring its compose files (`missing`: why there is no project yet). */
async function openOrMiss(settings, world) {
    const bare = async () => bareProject(settings, world, await filesOf(null));
    try {
        return { project: await openProject(settings, world, filesOf) };
    }
    catch (error) {
        if (!(error instanceof errors/* CaretakerError */.xT))
            throw error;
        if (['restore', 'recover'].includes(settings.mode) &&
            ['compose-file-missing', 'env-file-missing'].includes(error.code))
            return { project: await bare(), missing: error };
        const needless = settings.mode === 'verify' && settings.proof === undefined;
        if (!needless || !['no-engine', 'engine-missing', 'compose-file-missing'].includes(error.code))
            throw error;
        world.log.warn(`The backup is only read, and nothing started on it: ${error.message}`);
        return { project: await bare() };
    }
}
/**
 * For a restore into another place, which needs no application and no engine: what is found of them says whose backups are meant, and
 * which directories are in use. Files are written by this very user.
 */
async function openElsewhere(settings, world) {
    const { log } = world;
    const direct = await filesOf(null);
    const isRoot = process.getuid?.() === 0;
    if (!isRoot)
        log.info('Owners are not kept: only root could give files to others. Modes are');
    const files = isRoot
        ? direct
        : { ...direct, untar: (root, options) => direct.untar(root, { ...options, owners: false }) };
    const project = await openProject(settings, world, () => Promise.resolve(files)).catch(async (error) => {
        if (!(error instanceof errors/* CaretakerError */.xT) || error.code === 'cancelled')
            throw error;
        const bare = await bareProject(settings, world, files);
        log.info(`No application is found here, and none is needed; its name is taken to be ${bare.name} (${error.message})`);
        return bare;
    });
    await maskSecrets(project, log);
    return { project, checkout: null, plan: undefined, probes: [], ...openRest(settings, world, project) };
}
function openRest(settings, { env, log, signal }, project) {
    const storeTools = {
        log,
        env,
        githubToken: settings.githubToken,
        allowPublic: 'allow' in settings && settings.allow.includes('public-artifacts'),
        clock: systemClock,
        signal,
    };
    const openFolder = (directory) => createFolderStore({ directory, log });
    const local = createFolderStore({
        directory: localDirectory(project.stateDirectory),
        name: 'safety backups on this host',
        log,
    });
    const stores = settings.stores.map((store) => openStore(store, storeTools));
    const cache = createWorkflowCache({
        ...{ processes: nodeProcesses, env, signal, node: process.execPath, client: programPath('actions-cache') },
        timeoutMs: 'buildTimeoutMs' in settings ? settings.buildTimeoutMs : 0,
    });
    const network = createContainerNetwork(hostFilesOptions(project.engine?.runtime ?? null));
    return { stores, local, cache, network, openFolder };
}
/** What the lines name. Data that a restore is to bring back may be missing: then the part's own origin decides. */
async function resolvable(project, data) {
    if (data === 'auto')
        return undefined;
    try {
        return await planData(project, data);
    }
    catch (error) {
        if (error instanceof errors/* CaretakerError */.xT)
            return undefined;
        throw error;
    }
}
async function bareProject(settings, { env }, files) {
    const directory = await (0,promises_.realpath)(settings.projectDirectory);
    const name = settings.projectName ?? env['COMPOSE_PROJECT_NAME'] ?? (0,parse/* normalName */.tK)(external_node_path_default().basename(directory));
    return createBareProject(name, directory, files);
}
function filesOf(runtime) {
    return createHostFiles(hostFilesOptions(runtime));
}
async function openProject(settings, world, hostFiles) {
    const { env, log } = world;
    if (settings.mode === 'verify' && settings.proof === 'read')
        return bareProject(settings, world, await filesOf(null));
    const { commands } = settings;
    if (commands !== undefined) {
        const { start: startCommand, stop: stopCommand, status: statusCommand } = commands;
        const directory = await (0,promises_.realpath)(settings.projectDirectory);
        return createCommandProject({ directory, name: settings.projectName, startCommand, stopCommand, statusCommand }, { run: runAuthorCommand, files: await hostFiles(null), log });
    }
    return discoverProject({ ...settings, directory: settings.projectDirectory }, {
        processes: nodeProcesses,
        log,
        clock: systemClock,
        environment: env,
        runtimes: () => detectRuntimes(nodeProcesses),
        hostFiles: hostFiles,
    });
}
function hostFilesOptions(runtime) {
    return {
        ...{ processes: nodeProcesses, runtime, node: process.execPath, agent: programPath('agent') },
        root: process.getuid?.() === 0,
    };
}
/** A program beside this very one: dist/agent for the bundles, src/agent.ts for the sources. */
function programPath(entry) {
    const program = process.argv[1] ?? '';
    const name = program.endsWith('.ts') ? `${entry}.ts` : `../${entry}/index.js`;
    return external_node_path_default().resolve(external_node_path_default().dirname(program), name);
}
/** Whatever a container, a build or a database prints: the application's secrets stay out of the log. */
async function maskSecrets(project, log) {
    for (const { env } of await project.containers()) {
        for (const [name, value] of Object.entries(env)) {
            if (/pass|secret|token|credential|private|api_?key/i.test(name) && value.length >= 6)
                log.mask(value);
        }
    }
}
async function probesFor(settings, project) {
    const states = { name: 'services', shallow: true, check: () => project.look() };
    const told = settings.health.map((probe) => probe.type === 'http'
        ? httpProbe(probe)
        : commandProbe({ run: probe.run, cwd: project.directory, runAuthorCommand: runAuthorCommand }));
    return [states, ...told, ...(told.length > 0 ? [] : await publishedPortProbes(await project.containers()))];
}
function tokenFor(token, env) {
    const serverUrl = env['GITHUB_SERVER_URL'] ?? 'https://github.com';
    return token === undefined ? {} : { token: { value: token, serverUrl } };
}

// EXTERNAL MODULE: ./src/report/errors-text.ts
var errors_text = __webpack_require__(73883);
;// CONCATENATED MODULE: ./src/safety/actions.ts

/** Undoes what `run` began and has not undone, last first. Throws `rollback-failed` at the first that fails, and does none before it. */
async function undoSteps(run, tools, cause) {
    const { journal, actions, log, clock } = tools;
    const left = run.steps.flatMap(({ index, name, undo, state }) => undo !== null && state !== 'undone' ? [{ index, name, undo }] : []);
    const undone = [];
    for (let step = left.at(-1); step !== undefined; left.pop(), step = left.at(-1)) {
        log.info(`Undo "${step.name}"`);
        try {
            await actionFor(actions, step.undo)(step.undo.data);
        }
        catch (error) {
            const remaining = left
                .toReversed()
                .map(({ name, undo }) => `"${name}" by ${undo.action} ${JSON.stringify(undo.data)}`)
                .join('; ');
            const first = cause === undefined ? '' : ` It rolled back because: ${(0,errors/* messageOf */.bD)(cause)}`;
            throw new errors/* CaretakerError */.xT('rollback-failed', `failed to undo "${step.name}": ${(0,errors/* messageOf */.bD)(error)}.${first} Still to be undone, in this order: ${remaining}`, {
                hint: `The next run of any mode tries it again, as ${journal.file} says. Mend first what the message names.`,
                cause: cause === undefined ? error : new AggregateError([cause, error], (0,errors/* messageOf */.bD)(cause), { cause }),
            });
        }
        try {
            await journal.append({ type: 'undone', index: step.index, at: clock.now().toISOString() });
        }
        catch (error) {
            // A full disk is a reason to roll back, and none to stop rolling back: at worst this is undone twice.
            if (!(error instanceof errors/* CaretakerError */.xT && error.code === 'disk-full'))
                throw error;
            log.warn(`${(0,errors/* messageOf */.bD)(error)}; going on with the rollback`);
        }
        undone.push(step.name);
    }
    return undone;
}
/** Does what is left to do after the commit, in order. Throws `cleanup-failed` at the first that fails. */
async function goForward(run, tools, proceed = () => undefined) {
    const { journal, actions, log, clock } = tools;
    for (const [index, { entry, done }] of (run.forward ?? []).entries()) {
        if (done)
            continue;
        proceed();
        log.debug(`After the commit: ${entry.action}`);
        try {
            await actionFor(actions, entry)(entry.data);
        }
        catch (error) {
            const hint = error instanceof errors/* CaretakerError */.xT && error.hint ? `${error.hint} ` : '';
            const code = error instanceof errors/* CaretakerError */.xT ? ` (${error.code})` : '';
            throw new errors/* CaretakerError */.xT('cleanup-failed', `the ${run.mode} is in place, but "${entry.action}" after it failed: ${(0,errors/* messageOf */.bD)(error)}${code}`, {
                hint: `${hint}The next run of any mode does it again.`,
                cause: error,
            });
        }
        await journal.append({ type: 'forwarded', index, at: clock.now().toISOString() });
    }
}
function actionFor(actions, entry) {
    const action = Object.hasOwn(actions, entry.action) ? actions[entry.action] : undefined;
    if (action === undefined)
        throw new errors/* CaretakerError */.xT('unknown-action', `this version does not know the action "${entry.action}"`);
    return action;
}

;// CONCATENATED MODULE: ./src/safety/recovery.ts



/**
 * Finishes what an interrupted run left in the journal: undoes it where it had not committed, does what is left where it had. The lock must
 * be held. May be interrupted and repeated. Null when there is nothing to recover. Throws `rollback-failed`, `cleanup-failed`, `journal-damaged`.
 */
async function recover(stateDirectory, actions, log, clock = systemClock) {
    const journal = await openJournal(stateDirectory);
    const run = await journal.unfinished();
    if (run === null)
        return null;
    const tools = { journal, log, clock };
    if (run.forward !== null) {
        log.warn(`The ${run.mode} ${run.run} of ${run.at} was cut off after it was in place; finishing it`);
        await goForward(run, { ...tools, actions: actions.forward });
        await journal.append({ type: 'end', outcome: 'done', at: clock.now().toISOString() });
        return { run: run.run, mode: run.mode, outcome: 'completed', undone: [] };
    }
    log.warn(`The ${run.mode} ${run.run} of ${run.at} was cut off; undoing it`);
    const undone = await undoSteps(run, { ...tools, actions: actions.undo });
    await journal.append({ type: 'end', outcome: 'rolled-back', at: clock.now().toISOString() });
    return { run: run.run, mode: run.mode, outcome: 'rolled-back', undone };
}

;// CONCATENATED MODULE: ./src/safety/saga.ts




/**
 * Runs `work`, whose steps are journaled. When it throws before its commit, all that has begun is undone in reverse and the error is
 * thrown on; `rollback-failed` with that error as cause when an undo fails. A run without a step leaves no journal.
 */
async function runSaga(setup, work) {
    const { journal, log, clock, signal } = setup;
    const at = () => clock.now().toISOString();
    const tell = (outcome) => setup.onOutcome?.(outcome);
    let begun = false;
    let committed = false;
    let wentBack = false;
    let steps = 0;
    const begin = async () => {
        if (begun)
            return;
        await journal.append({ type: 'begin', ...setup.run, at: at(), pid: process.pid, bootId: bootId() });
        begun = true;
    };
    const goOn = () => {
        if (signal?.aborted)
            throw cancelled(signal);
    };
    const unfinished = async () => {
        const run = await journal.unfinished();
        if (run === null)
            throw new errors/* CaretakerError */.xT('journal-damaged', `the journal ${journal.file} of this very run is gone`);
        return run;
    };
    const saga = {
        async step(name, { undo }, act) {
            if (committed)
                throw new TypeError(`step "${name}" after the commit could not be undone`);
            if (undo !== null)
                actionFor(setup.undoActions, undo);
            goOn();
            await begin();
            const index = steps++;
            await journal.append({ type: 'step', index, name, at: at(), undo });
            const value = await act();
            await journal.append({ type: 'done', index, at: at() });
            goOn();
            return value;
        },
        async commit(forward) {
            if (committed)
                throw new TypeError('a saga commits once');
            for (const entry of forward)
                actionFor(setup.forwardActions, entry);
            goOn();
            if (!begun && forward.length === 0)
                return;
            await begin();
            await journal.append({ type: 'commit', at: at(), forward });
            committed = true;
            await goForward(await unfinished(), { journal, actions: setup.forwardActions, log, clock }, goOn);
        },
        async goBack() {
            if (committed || wentBack)
                throw new TypeError('what has ended does not go back');
            if (begun)
                await undoSteps(await unfinished(), { journal, actions: setup.undoActions, log, clock }, undefined);
            wentBack = true;
        },
    };
    let result;
    try {
        result = await work(saga);
        if (!committed && !wentBack)
            await saga.commit([]);
    }
    catch (error) {
        await fail(error);
        throw error;
    }
    if (begun)
        await journal.append({ type: 'end', outcome: 'done', at: at() });
    tell({ outcome: 'done' });
    return result;
    async function fail(error) {
        if (!begun) {
            tell({ outcome: 'failed' });
            return;
        }
        if (committed) {
            const run = await unfinished();
            // What is thrown after the last forward action leaves nothing to do.
            const isComplete = run.forward?.every(({ done }) => done) === true;
            if (isComplete)
                await journal.append({ type: 'end', outcome: 'done', at: at() });
            tell({ outcome: isComplete ? 'done' : 'unfinished' });
            return;
        }
        let undone;
        try {
            undone = await undoSteps(await unfinished(), { journal, actions: setup.undoActions, log, clock }, error);
            await journal.append({ type: 'end', outcome: undone.length === 0 ? 'failed' : 'rolled-back', at: at() });
        }
        catch (failure) {
            tell({ outcome: 'unfinished' });
            throw failure;
        }
        tell(undone.length === 0 ? { outcome: 'failed' } : { outcome: 'rolled-back', undone });
    }
}

;// CONCATENATED MODULE: ./src/safety/state-directory.ts





/**
 * Makes `.caretaker/` (mode 0700) in the project directory, with `staging/` and `backups/`, and a .gitignore by which it ignores itself:
 * the project directory may be a clone. Answers with its absolute path. Throws `state-directory-unwritable`.
 */
async function ensureStateDirectory(projectDirectory) {
    const directory = external_node_path_default().resolve(projectDirectory, '.caretaker');
    try {
        // Not with parents: a project directory that is misspelt must not come into being.
        await (0,promises_.stat)(projectDirectory);
        for (const part of ['.', 'staging', 'backups'])
            await (0,system_files/* ensureDirectory */.EA)(external_node_path_default().join(directory, part));
        await (0,promises_.access)(directory, external_node_fs_.constants.W_OK | external_node_fs_.constants.X_OK);
        const ignore = external_node_path_default().join(directory, '.gitignore');
        // Half written, it is written again by the next run.
        if ((await (0,system_files/* readText */.yR)(ignore)) !== '*\n')
            await (0,promises_.writeFile)(ignore, '*\n', { mode: 0o644 });
        return directory;
    }
    catch (error) {
        throw new errors/* CaretakerError */.xT('state-directory-unwritable', `failed to prepare ${directory}: ${(0,errors/* messageOf */.bD)(error)}`, {
            input: 'project-directory',
            hint: `The runner's user must be able to write ${directory}, which holds the lock, the journal and local backups.`,
            cause: error,
        });
    }
}

// EXTERNAL MODULE: ./src/settings/load.ts
var load = __webpack_require__(54037);
// EXTERNAL MODULE: ./src/settings/inputs.ts
var inputs = __webpack_require__(97428);
// EXTERNAL MODULE: ./src/version.ts
var version = __webpack_require__(311);
;// CONCATENATED MODULE: ./src/run.ts
































function run_isElsewhere(settings) {
    return settings.mode === 'restore' && settings.to !== undefined;
}
/** One run from raw values to its report. Never throws: whatever goes wrong is in the report. */
async function runCaretaker(request) {
    const run = new Run(request);
    return run.perform(async (settings) => {
        if (run_isElsewhere(settings))
            return run.elsewhere(await openElsewhere(settings, run.world), settings);
        const opened = await open_open(settings, run.world);
        run.project = opened.project.name;
        if (settings.mode === 'list')
            return listSection(await list(opened));
        if (settings.mode === 'status') {
            return { status: await status_status({ ...opened, recorder: run.recorder, clock: systemClock }, settings) };
        }
        if (settings.mode === 'update' && settings.dryRun)
            return run.plan(opened, settings);
        if (settings.mode === 'recover') {
            await run.recover(opened, settings);
            return {};
        }
        const outcome = await run.underLock(opened, settings, (tools, reopen) => act(tools, settings, { ...opened, reopen }));
        return outcome === null ? {} : sectionsOf(outcome, { ...opened, recorder: run.recorder });
    });
}
/**
 * Finishes what a killed run of this project left: what `post` does after every run. Null when there is nothing to do, which is the rule.
 */
async function afterRun(request) {
    const environment = environmentOf({ ...request, cwd: process.cwd() });
    const directory = projectDirectoryOf(request.raw, environment);
    // What only looks leaves recovery to a run that acts.
    if (['list', 'status'].includes(request.raw.values.mode?.text.trim() ?? ''))
        return null;
    // `main` has told of a directory that can't be entered; and where it had got nowhere, nothing is to be finished.
    if (!existsSync(path.join(directory, '.caretaker', 'journal.jsonl')))
        return null;
    const run = new Run(request);
    return run.perform(async (settings) => {
        if (settings.mode === 'list' || settings.mode === 'status' || run_isElsewhere(settings))
            return {};
        const opened = await open(settings, run.world);
        run.project = opened.project.name;
        await run.underLock(opened, settings, () => Promise.resolve(null));
        return {};
    });
}
async function act(tools, settings, { openFolder, missing, reopen }) {
    switch (settings.mode) {
        case 'backup':
            return { mode: 'backup', ...(await backup(tools, settings)) };
        case 'update':
        case 'rehearse':
            return { mode: settings.mode, ...(await update(tools, settings)) };
        case 'rollback':
            return { mode: 'rollback', ...(await rollback(tools, settings)) };
        case 'verify':
            return { mode: 'verify', ...(await verify(tools, settings, openFolder)) };
        case 'restore':
            return { mode: 'restore', ...(await restore(tools, settings, openFolder, { reopen, missing })) };
    }
}
class Run {
    recorder;
    world;
    project;
    #request;
    #cancel = new AbortController();
    #startedAt = systemClock.now();
    #start = systemClock.monotonic();
    #saga;
    #mode;
    #noOp = false;
    constructor(request) {
        this.#request = request;
        this.recorder = new Recorder(request.log, systemClock);
        // What a room warns of belongs into the summary too.
        const log = { ...request.log, warn: (line) => this.recorder.warn(line) };
        this.world = { env: request.env, log, signal: this.#cancel.signal };
        const mode = request.raw.values.mode?.text.trim();
        this.#mode = inputs/* modes */.nI.find((known) => known === mode) ?? 'backup';
        const environment = (0,load/* environmentOf */.p)({ ...request, cwd: process.cwd() });
        this.project = external_node_path_default().basename((0,parse/* projectDirectoryOf */.c5)(request.raw, environment));
    }
    async perform(work) {
        const { log } = this.#request;
        const release = this.#onSignals();
        try {
            const settings = (0,load/* loadSettings */.M)(this.#request.raw, (0,load/* environmentOf */.p)({ ...this.#request, cwd: process.cwd() }));
            this.#mode = settings.mode;
            if (settings.githubToken !== undefined)
                log.mask(settings.githubToken);
            for (const warning of settings.warnings)
                this.recorder.warn(warning);
            return this.#result(await work(settings), undefined);
        }
        catch (error) {
            return this.#result({}, error);
        }
        finally {
            release();
        }
    }
    /** What an update would do. Without the lock: nothing is touched. */
    async plan(opened, settings) {
        const { from, to, plan } = await planUpdate(this.#tools(opened, noSaga), settings);
        this.#noOp = true;
        return { update: { from, to, changedServices: [] }, plan };
    }
    /** A restore that touches nothing of the application. Without the lock: it does not matter what else runs. */
    async elsewhere(opened, settings) {
        this.project = opened.project.name;
        await restoreElsewhere(this.#tools(opened, noSaga), settings, opened.openFolder);
        return {};
    }
    /** Does nothing but what every run does first. Where nothing waits not even the lock is taken. */
    async recover(opened, settings) {
        const { stateDirectory } = opened.project;
        const left = await unfinishedRun(stateDirectory);
        const holder = await lockHolder(stateDirectory);
        if (left === null) {
            this.#noOp = true;
        }
        else if (left.forward === null || settings.finish || (holder !== null && holder.state !== 'dead')) {
            await this.underLock(opened, settings, () => Promise.resolve(null));
        }
        else {
            const { mode, run } = left;
            this.recorder.recovery = { mode, run, outcome: 'in-place' };
            this.recorder.warn(`The ${mode} of run ${run} had been cut off after it was in place: to store its backup and to tidy up is left to the next run that knows its stores.`);
        }
    }
    /** Takes the lock, finishes what an earlier run left, and then does `work` as a saga. A run that is refused leaves no trace. */
    async underLock(opened, settings, work) {
        const { env, log, signal } = this.world;
        const { project } = opened;
        const stateDirectory = await ensureStateDirectory(project.directory);
        const lock = await acquireLock(stateDirectory, {
            mode: settings.mode,
            since: this.#startedAt.toISOString(),
            ...(env['GITHUB_RUN_ID'] === undefined
                ? {}
                : { runUrl: `${repositoryUrl(env)}/actions/runs/${env['GITHUB_RUN_ID']}` }),
        });
        try {
            let tools;
            const toolsNow = () => (tools ??= this.#tools(opened, noSaga));
            // What is put back after a cancel must not be cancelled by it.
            const undoTools = () => ({ ...toolsNow(), signal: new AbortController().signal });
            const patience = { ...settings, healthTimeoutMs: Math.max(settings.healthTimeoutMs, OLD_VERSION_MS) };
            const actions = { undo: undoActions(undoTools, patience), forward: forwardActions(toolsNow) };
            if (project.bare && settings.mode === 'verify' && (await unfinishedRun(stateDirectory)) !== null) {
                throw new errors/* CaretakerError */.xT('recovery-first', 'an earlier run was cut off, and this drill does not look at the application to finish or undo it', {
                    hint: 'Run any other mode first (status tells what waits), or this one with an engine and proof: databases.',
                });
            }
            const recovered = await recover(stateDirectory, opened.missing ? withoutProject(actions, opened.missing) : actions, log);
            if (recovered !== null) {
                const { mode, run, outcome } = recovered;
                this.recorder.recovery = { mode, run, outcome };
                this.recorder.warn(outcome === 'rolled-back'
                    ? `The ${mode} of run ${run} had been cut off: everything is as it was before it.`
                    : `The ${mode} of run ${run} had been cut off after it was in place: it is finished now.`);
            }
            await clearStaging(project, stateDirectory);
            const { run } = this;
            const outcome = await runSaga({
                journal: await openJournal(stateDirectory),
                undoActions: actions.undo,
                forwardActions: actions.forward,
                log,
                clock: systemClock,
                run: { run, mode: settings.mode, settings: { composeFiles: project.engine?.compose.files ?? [] } },
                signal,
                onOutcome: (saga) => {
                    this.#saga = saga;
                },
            }, (saga) => {
                tools = this.#tools(opened, saga);
                return work(tools, async (composeFiles) => {
                    const files = settings.composeFiles.length > 0 ? settings.composeFiles : composeFiles;
                    const now = await open_open({ ...settings, composeFiles: files }, this.world);
                    if (now.missing !== undefined)
                        throw now.missing;
                    this.project = now.project.name;
                    return (tools = this.#tools(now, saga));
                });
            });
            this.#noOp = outcome !== null && 'updated' in outcome && !outcome.updated && !outcome.rehearsed;
            return outcome;
        }
        finally {
            await lock.release();
            await removeEmptyState(stateDirectory);
        }
    }
    /** `20261124t062317z-4f2a`: sorts by time, and fits into the tag of an image. */
    run = `${this.#startedAt
        .toISOString()
        .replaceAll(/[-:]|\.\d+/g, '')
        .toLowerCase()}-${(0,external_node_crypto_.randomBytes)(2).toString('hex')}`;
    #tools(opened, saga) {
        const { log, signal } = this.world;
        return {
            ...opened,
            saga,
            recorder: this.recorder,
            log,
            clock: systemClock,
            runAuthorCommand: runAuthorCommand,
            signal,
            run: this.run,
            caretaker: version/* VERSION */.x,
        };
    }
    #result(sections, error) {
        const { recorder } = this;
        const [first, ...others] = error === undefined ? [] : (0,errors_text/* errorTexts */.tX)(error);
        const report = {
            mode: this.#mode,
            project: this.project,
            outcome: this.#outcome(error),
            startedAt: this.#startedAt.toISOString(),
            seconds: (systemClock.monotonic() - this.#start) / 1000,
            steps: recorder.steps,
            outages: recorder.outages,
            warnings: recorder.warnings,
            downtimeSeconds: recorder.downtimeSeconds,
            health: recorder.health,
            ...(recorder.recovery === undefined ? {} : { recovery: recorder.recovery }),
            ...recorder.sections,
            ...sections,
            ...this.#whereToRestore(sections.restoreInstructions ?? recorder.sections.restoreInstructions),
            ...(first === undefined ? {} : { error: first, otherErrors: others }),
            ...(error === undefined || recorder.lastWords === undefined ? {} : { lastWords: recorder.lastWords }),
        };
        return { report, artifactIds: recorder.stored.flatMap(({ ids }) => ids) };
    }
    #whereToRestore(how) {
        const { env, inWorkflow } = this.#request;
        if (how === undefined || !inWorkflow || env['GITHUB_REPOSITORY'] === undefined)
            return {};
        return { restoreInstructions: { ...how, actionsUrl: `${repositoryUrl(env)}/actions` } };
    }
    #outcome(error) {
        if (error === undefined)
            return this.#noOp ? 'no-op' : 'done';
        if (error instanceof errors/* CaretakerErrors */.Ur)
            return 'refused';
        if (error instanceof errors/* CaretakerError */.xT && error.code === 'rollback-failed')
            return 'rollback-failed';
        // Code and images were changed and are back: what serves never knew.
        const untouched = error instanceof errors/* CaretakerError */.xT && error.code === 'rehearsal-failed';
        switch (this.#saga?.outcome) {
            case 'rolled-back':
                // A throwaway that was taken away again changed nothing.
                return untouched ? 'refused' : this.#mode === 'verify' ? 'failed' : 'rolled-back';
            case 'failed':
            case undefined:
                return this.recorder.acted ? 'failed' : 'refused';
            case 'unfinished':
                return 'incomplete';
            case 'done':
                return 'failed';
        }
    }
    /** A cancelled run ends its children and goes back; `post` and the next run do the rest if this process does not live to. */
    #onSignals() {
        const onSignal = (signal) => {
            if (this.#cancel.signal.aborted)
                return;
            this.#request.log.warn(`${signal}: the run is cancelled, and what it changed is put back`);
            this.#cancel.abort(new errors/* CaretakerError */.xT('cancelled', `the run was cancelled by ${signal}`));
            void killChildren();
        };
        for (const name of SIGNALS)
            process.on(name, onSignal);
        return () => {
            for (const name of SIGNALS)
                process.off(name, onSignal);
        };
    }
}
/** What health-timeout asks of a new version is no reason to give the old one up: a container network alone may need 40 s. */
const OLD_VERSION_MS = 120_000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];
/** Without a compose file only the project's own files can be taken away: what else a run has left needs the project. */
function withoutProject({ undo, forward }, missing) {
    const refuse = (actions) => Object.fromEntries(Object.entries(actions).map(([name, action]) => [
        name,
        name === 'files-away' ? action : () => Promise.reject(missing),
    ]));
    return { undo: refuse(undo), forward: refuse(forward) };
}
/** What recovery acts with: an undo or a forward action that began a step of its own would be a fault of ours. */
const noSaga = {
    step: () => Promise.reject(new TypeError('recovery begins no step')),
    commit: () => Promise.reject(new TypeError('recovery commits nothing')),
    goBack: () => Promise.reject(new TypeError('recovery goes back by itself')),
};
function repositoryUrl(env) {
    return `${env['GITHUB_SERVER_URL'] ?? 'https://github.com'}/${env['GITHUB_REPOSITORY'] ?? ''}`;
}
/** Under the lock, and with nothing left to recover, all that lies in staging is what a killed run left: whole backups, perhaps. */
async function clearStaging({ files }, stateDirectory) {
    const staging = external_node_path_default().join(stateDirectory, 'staging');
    const left = await (0,promises_.readdir)(staging);
    if (left.length > 0)
        await files.remove(left.map((name) => external_node_path_default().join(staging, name)));
    await (0,system_files/* removeTemporaries */.AH)(stateDirectory);
}
/** A refused first run must not leave a folder behind. Looks no deeper than it must: what lies below may be another user's. */
async function removeEmptyState(stateDirectory) {
    const ours = ['.gitignore', 'staging', 'backups'];
    const contents = await (0,promises_.readdir)(stateDirectory);
    if (!contents.every((name) => ours.includes(name)))
        return;
    for (const name of contents.filter((one) => one !== '.gitignore')) {
        if ((await (0,promises_.readdir)(external_node_path_default().join(stateDirectory, name))).length > 0)
            return;
    }
    await (0,promises_.rm)(stateDirectory, { recursive: true, force: true });
}


/***/ }),

/***/ 97428:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   QL: () => (/* binding */ inputs),
/* harmony export */   nI: () => (/* binding */ modes),
/* harmony export */   vj: () => (/* binding */ inputNames),
/* harmony export */   wg: () => (/* binding */ inputOf),
/* harmony export */   wp: () => (/* binding */ isInputName)
/* harmony export */ });
const modes = [
    'backup',
    'update',
    'rehearse',
    'rollback',
    'restore',
    'verify',
    'recover',
    'list',
    'status',
];
const all = modes;
const acting = ['backup', 'update', 'rehearse', 'rollback', 'restore'];
/** All inputs, in the order in which README and `--help` show them. */
const inputs = [
    {
        name: 'mode',
        description: 'What to do: `backup`, `update`, `rehearse` (try an update on a copy), `rollback` (go back before the last update), `restore`, `verify` (a drill: try a backup out beside the application), `recover` (put right what a run left that was cut off, as every mode does first), `list` or `status`.',
        default: 'required',
        modes: all,
        example: 'backup',
        perRun: true,
    },
    {
        name: 'project-directory',
        description: 'Directory of the Compose project. A relative path starts at the workspace, on the command line at the current directory.',
        default: 'the workspace, or the current directory',
        modes: all,
        example: '/srv/uso/uso-nginx',
        perRun: true,
    },
    {
        name: 'compose-files',
        description: 'Compose files, one a line, in the order of override, relative to the project directory.',
        default: 'as Compose finds them',
        modes: all,
        example: 'docker-compose-prod.yml',
        list: 'lines',
    },
    {
        name: 'project-name',
        description: 'Name of the Compose project.',
        default: 'as Compose names it',
        modes: all,
        example: 'medcattrainer',
    },
    {
        name: 'profiles',
        description: 'Compose profiles to enable.',
        default: 'none',
        modes: all,
        example: 'production',
        list: 'words',
    },
    {
        name: 'env-files',
        description: 'Env files for Compose, one a line, relative to the project directory.',
        default: '`.env`, as Compose reads it',
        modes: all,
        example: 'envs/env-prod',
        list: 'lines',
    },
    {
        name: 'engine',
        description: 'Container engine: `auto`, `docker`, `podman`, or a Compose implementation by name: `docker-compose-v2`, `podman-compose`.',
        default: '`auto`',
        modes: all,
        example: 'podman',
    },
    {
        name: 'data',
        description: 'What holds data: lines such as `type=postgres,service=database`, `type=sqlite,path=…`, `type=volume,volume=…`, `type=directory,path=./local,exclude=logs/**;tmp/**`; or `auto` to find it.',
        default: '`auto`',
        modes: [...acting, 'status'],
        example: 'type=postgres,service=database',
        list: 'lines',
    },
    {
        name: 'consistency',
        description: '`online` copies while everything runs, each database consistent in itself. `stopped` stops the services that write, so that all parts are of one instant.',
        default: '`online`',
        modes: ['backup'],
        example: 'stopped',
    },
    {
        name: 'store',
        description: 'Where backups are kept, one store a line: `type=artifact,retention-days=30`, `type=folder,path=/srv/backups`.',
        default: '`type=artifact` in a workflow, the folder `.caretaker/backups` on the command line',
        modes: all,
        example: 'type=artifact,retention-days=30',
        list: 'lines',
    },
    {
        name: 'keep-local',
        description: 'How many safety backups stay on the host: those that updates, rollbacks and restores make of what they are about to replace. The newest stay, and the one that a rollback of the last update needs; `0` keeps none.',
        default: '`3`',
        modes: ['update', 'rollback', 'restore', 'status'],
        example: '5',
    },
    {
        name: 'keep-local-days',
        description: 'Days after which a safety backup goes even where `keep-local` would keep it. The newest stays, and the one that a rollback of the last update needs.',
        default: 'no limit by age',
        modes: ['backup', 'update', 'rollback', 'restore', 'status'],
        example: '30',
    },
    {
        name: 'source-directory',
        description: 'Git clone that the code and the images come from, when it is not the project directory. A relative path starts at the project directory.',
        default: 'the project directory',
        modes: [...acting, 'recover'],
        example: '/srv/uso/uso',
    },
    {
        name: 'ref',
        description: 'What to update to: a tag, a branch of the remote, or a commit.',
        default: 'see `track`',
        modes: ['update', 'rehearse'],
        example: 'v1.4.0',
    },
    {
        name: 'track',
        description: 'What to follow when no `ref` is given: `releases` is the newest version tag that `allow` lets through, `branch` the head of the branch that is checked out.',
        default: 'the tag of the event that started the workflow, otherwise `branch`',
        modes: ['update', 'rehearse'],
        example: 'releases',
    },
    {
        name: 'allow',
        description: 'What would otherwise be refused: `major` (a major version step), `downgrade`, `prerelease` (for `track: releases`), `dirty` (merge local changes into files that the update changes), `postgres-major` (a database image of another major version of PostgreSQL), `unhealthy` (begin although the application is not healthy now), `version-mismatch` (restore the data of another version than the code that is checked out), `public-artifacts` (backups that anyone can download).',
        default: 'nothing',
        modes: [...acting, 'verify'],
        example: 'major',
        list: 'words',
    },
    {
        name: 'build',
        description: 'How the new images come about: `auto`, `compose` (`build`), `pull`, `none`, or a command that is run in the source directory.',
        default: '`auto`',
        modes: ['update', 'rehearse', 'restore'],
        example: './deploy/build-image.sh nginx',
    },
    {
        name: 'cache-images',
        description: '`true`: images that another run built of the same commit, on whatever host of the same platform, are loaded from the workflow’s cache instead of being built, and those that were built are stored there once the new version serves. Whatever is wrong with the cache leads to a build.',
        default: '`false`',
        modes: ['update', 'rehearse', 'restore'],
        example: 'true',
    },
    {
        name: 'dry-run',
        description: '`true`: an update says what it would do, refuses what it would refuse, and touches nothing but what git knows of the remote.',
        default: '`false`',
        modes: ['update'],
        example: 'true',
        perRun: true,
    },
    {
        name: 'rehearse',
        description: '`true`: before the application is touched, the new version is brought up in a throwaway, on a copy of the data of that moment: migration, start, health. Where it fails there, the update is refused.',
        default: '`false`',
        modes: ['update'],
        example: 'true',
    },
    {
        name: 'migrate-command',
        description: 'A command that changes the data for the new version, run in the project directory after the backup and before the new version starts. What it does is undone with the rest. A rehearsal runs it with `COMPOSE_PROJECT_NAME` and `COMPOSE_FILE` of the throwaway, and only where it uses `$CARETAKER_THROWAWAY`, the throwaway’s name, and names no project or file itself.',
        default: 'none: the application migrates when it starts',
        modes: ['update', 'rehearse'],
        example: 'docker compose run --rm web ./manage.py migrate',
    },
    {
        name: 'build-timeout',
        description: 'How long building, pulling or migrating may take.',
        default: '`1h`',
        modes: ['update', 'rehearse', 'restore'],
        example: '90m',
    },
    {
        name: 'health',
        description: 'Checks besides the containers’ own, one a line: `type=http,url=http://localhost:8000/,status=200,contains=Welcome`, `type=command,run=./check.sh`; `type=container` is always looked at. Best is one that reads the database.',
        default: 'the containers’ states and health checks, and the published web ports that answered before',
        modes: [...acting, 'verify', 'recover'],
        example: 'type=http,url=http://localhost:8000/login/',
        list: 'lines',
    },
    {
        name: 'health-timeout',
        description: 'How long the application may take to become healthy.',
        default: '`5m`',
        modes: [...acting, 'verify', 'recover'],
        example: '10m',
    },
    {
        name: 'settle',
        description: 'How long it must then stay healthy.',
        default: '`10s`',
        modes: [...acting, 'verify', 'recover'],
        example: '30s',
    },
    {
        name: 'with-data',
        description: 'Whether a rollback brings the data from before the update back too. `true` loses what was written since; `false` lets the old version work on the data of the new one.',
        default: 'required by `rollback`',
        modes: ['rollback'],
        example: 'true',
        perRun: true,
    },
    {
        name: 'backup',
        description: 'Which backup to restore or to try out: `latest`, a name, the id of the workflow run that made it or of one of its artifacts, `before=2026-11-20` (or with a time: `before=2026-11-20T18:30`, in UTC), an age (`2d`: the newest that is at least so old), a version (`v25.09`: the newest of it; `version=TAG` for any tag), or the path of a folder that holds one.',
        default: '`latest`',
        modes: ['restore', 'verify'],
        example: 'uso-20261121T220000Z',
    },
    {
        name: 'only',
        description: 'What to restore: names of parts (`database`), paths inside the part of a volume or directory (`media/2026/a.png`), single databases of a PostgreSQL dump (`database:shop`).',
        default: 'all parts',
        modes: ['restore'],
        example: 'media/2026',
        list: 'words',
    },
    {
        name: 'to',
        description: 'A new directory to restore into, absolute or relative to the project directory; the live application is left alone, and nothing has to be confirmed.',
        default: 'into the live application',
        modes: ['restore'],
        example: '/srv/look',
        perRun: true,
    },
    {
        name: 'with-code',
        description: '`true`: a restore checks out the backup’s commit in the clone and brings its images too: those that are on the host still, those of a registry by digest, or as `build` and `cache-images` say.',
        default: '`false`',
        modes: ['restore'],
        example: 'true',
        perRun: true,
    },
    {
        name: 'confirm',
        description: 'The project’s name, typed by whoever starts what replaces live data.',
        default: 'required by `restore` where there are data or containers and no `to`, and by `rollback` with `with-data: true`',
        modes: ['rollback', 'restore'],
        example: 'uso',
        perRun: true,
    },
    {
        name: 'proof',
        description: 'How far a drill goes. `read`: every byte is read, digests, archives and the files of databases are checked; no engine is needed. `databases`: the database servers are started on the backup, in a throwaway that nothing leads to, every row is read and counted. `application`: the whole application comes up in it as well and must be healthy.',
        default: '`databases`; `read` where the application has no containers',
        modes: ['verify'],
        example: 'application',
    },
    {
        name: 'check',
        description: 'Your own checks of the restored data, one a line: `type=sql,part=database,query=select count(*) from users` (with `database=…` where the server has several, and `expect=…`; else anything but empty, `f` and `0` will do), `type=command,run=./check.sh` (with `COMPOSE_PROJECT_NAME` and `COMPOSE_FILE` of the throwaway).',
        default: 'none',
        modes: ['verify'],
        example: 'type=sql,part=database,query=select count(*) from users',
        list: 'lines',
    },
    {
        name: 'throwaway-network',
        description: '`internal`: the containers of a throwaway reach each other and nothing else, so that a copy of your application sends no mail. `open`: they reach what the application reaches.',
        default: '`internal`',
        modes: ['update', 'rehearse', 'verify'],
        example: 'open',
    },
    {
        name: 'start-command',
        description: 'For an application without containers: starts it. Goes with the two below.',
        default: 'none',
        modes: all,
        example: 'systemctl start shop',
    },
    {
        name: 'stop-command',
        description: 'Stops it, and returns when it has stopped.',
        default: 'none',
        modes: all,
        example: 'systemctl stop shop',
    },
    {
        name: 'status-command',
        description: 'Exits with 0 while it runs.',
        default: 'none',
        modes: all,
        example: 'systemctl is-active shop',
    },
    {
        name: 'github-token',
        description: 'Token with `actions: read`, to find and fetch the artifacts of earlier runs. On the command line it is read from the environment variable `GITHUB_TOKEN`.',
        default: 'the workflow’s own token',
        actionDefault: '${{ github.token }}',
        modes: all,
        secret: true,
        perRun: true,
    },
];
const inputNames = inputs.map(({ name }) => name);
function isInputName(name) {
    return inputNames.includes(name);
}
/** The table's row; every name has one. */
function inputOf(name) {
    const found = inputs.find((input) => input.name === name);
    if (found === undefined)
        throw new Error(`no input ${name}`);
    return found;
}


/***/ }),

/***/ 54037:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   M: () => (/* binding */ loadSettings),
/* harmony export */   p: () => (/* binding */ environmentOf)
/* harmony export */ });
/* harmony import */ var node_fs__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(73024);
/* harmony import */ var node_fs__WEBPACK_IMPORTED_MODULE_0___default = /*#__PURE__*/__webpack_require__.n(node_fs__WEBPACK_IMPORTED_MODULE_0__);
/* harmony import */ var node_path__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(76760);
/* harmony import */ var node_path__WEBPACK_IMPORTED_MODULE_1___default = /*#__PURE__*/__webpack_require__.n(node_path__WEBPACK_IMPORTED_MODULE_1__);
/* harmony import */ var _errors_js__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(83916);
/* harmony import */ var _parse_js__WEBPACK_IMPORTED_MODULE_3__ = __webpack_require__(42981);
/* harmony import */ var _sources_js__WEBPACK_IMPORTED_MODULE_4__ = __webpack_require__(89651);





/** The real file system's part of the environment. */
function environmentOf(options) {
    return { ...options, kindOf };
}
/**
 * Typed values over caretaker.yml over defaults, parsed. Throws CaretakerErrors with all problems at once, `path-unreadable` at the
 * first path that this user can't look at, and `config-misnamed`.
 */
function loadSettings(typed, environment) {
    const directory = (0,_parse_js__WEBPACK_IMPORTED_MODULE_3__/* .projectDirectoryOf */ .c5)(typed, environment);
    const file = node_path__WEBPACK_IMPORTED_MODULE_1___default().join(directory, _sources_js__WEBPACK_IMPORTED_MODULE_4__/* .CONFIG_FILE */ .g2);
    // Whatever has that name is meant to be read: a directory or a link to nowhere is an error, not an absent file.
    const text = isThere(file) ? readable(file, () => (0,node_fs__WEBPACK_IMPORTED_MODULE_0__.readFileSync)(file, 'utf8')) : undefined;
    const other = node_path__WEBPACK_IMPORTED_MODULE_1___default().join(directory, MISNAMED);
    if (text === undefined && isThere(other)) {
        throw new _errors_js__WEBPACK_IMPORTED_MODULE_2__/* .CaretakerError */ .xT('config-misnamed', `${other} is not read: the settings' file is ${_sources_js__WEBPACK_IMPORTED_MODULE_4__/* .CONFIG_FILE */ .g2}`, {
            hint: `Rename it to ${_sources_js__WEBPACK_IMPORTED_MODULE_4__/* .CONFIG_FILE */ .g2}.`,
        });
    }
    return (0,_parse_js__WEBPACK_IMPORTED_MODULE_3__/* .parseSettings */ .P$)((0,_sources_js__WEBPACK_IMPORTED_MODULE_4__/* .withFile */ .D4)(typed, file, text), environment);
}
const MISNAMED = 'caretaker.yaml';
function isThere(file) {
    try {
        return (0,node_fs__WEBPACK_IMPORTED_MODULE_0__.lstatSync)(file, { throwIfNoEntry: false }) !== undefined;
    }
    catch (error) {
        // Below a project directory that is a file: what is wrong with that is told by whoever checks it.
        if (error.code === 'ENOTDIR')
            return false;
        return readable(file, () => {
            throw error;
        });
    }
}
function kindOf(file) {
    // Undefined for ENOENT and ENOTDIR only: what may not be seen is not simply missing.
    const stats = readable(file, () => (0,node_fs__WEBPACK_IMPORTED_MODULE_0__.statSync)(file, { throwIfNoEntry: false }));
    if (stats === undefined)
        return null;
    return stats.isDirectory() ? 'directory' : 'file';
}
function readable(file, look) {
    try {
        return look();
    }
    catch (error) {
        throw new _errors_js__WEBPACK_IMPORTED_MODULE_2__/* .CaretakerError */ .xT('path-unreadable', `failed to look at ${file}: ${(0,_errors_js__WEBPACK_IMPORTED_MODULE_2__/* .messageOf */ .bD)(error)}`, {
            hint: 'The user who runs this must be able to read it and to enter every directory above it. Check project-directory and the paths in the settings, too.',
            cause: error,
        });
    }
}


/***/ }),

/***/ 42981:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {


// EXPORTS
__webpack_require__.d(__webpack_exports__, {
  tK: () => (/* binding */ normalName),
  P$: () => (/* binding */ parseSettings),
  c5: () => (/* binding */ projectDirectoryOf)
});

;// CONCATENATED MODULE: ./src/settings/durations.ts
const units = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** `90s`, `5m`, `1m30s`, `250ms`, `1h` in milliseconds; undefined where it is none of these. A number without a unit is none. */
function parseDuration(text) {
    const trimmed = text.trim();
    if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(trimmed))
        return trimmed === '0' ? 0 : undefined;
    let total = 0;
    for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) {
        total += Number(amount) * (units[unit ?? ''] ?? 0);
    }
    return Math.round(total);
}

;// CONCATENATED MODULE: ./src/settings/backup-choice.ts

/**
 * What stands in `backup`, paths left out: `latest`, a backup's name, digits, `before=2026-11-20` (its beginning, in UTC) or `before=2026-11-20T18:30` (with `Z` or an offset at the end for another
 * time than UTC), `2d`, `36h`, `1w`, `version=TAG`, and without `version=` what begins as a version does (`v25.09`, `1.4`). Null for anything else.
 */
function parseBackupChoice(text) {
    if (text === 'latest')
        return { text, by: 'latest' };
    if (/^[1-9]\d*$/.test(text))
        return { text, by: 'id' };
    if (/^[a-z0-9][a-z0-9_-]*-\d{8}T\d{6}Z$/.test(text))
        return { text, by: 'name' };
    const [, key, value = ''] = /^(before|version)=(.+)$/.exec(text) ?? [];
    if (key === 'before') {
        const at = instantOf(value);
        return at === null ? null : { text, by: 'before', at };
    }
    if (key === 'version')
        return { text, by: 'version', version: value };
    const ms = ageOf(text);
    if (ms !== null)
        return { text, by: 'age', ms };
    return /^(?:v\d|\d+\.\d)[\w.+-]*$/i.test(text) ? { text, by: 'version', version: text } : null;
}
function instantOf(text) {
    const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(Z|[+-]\d\d:\d\d)?)?$/.exec(text);
    if (match === null)
        return null;
    const [, day = '', time = '00:00', zone = 'Z'] = match;
    const at = new Date(`${day}T${time}${zone}`);
    // The 31st of February is well-formed and no day.
    const isDay = !Number.isNaN(at.getTime()) && new Date(`${day}T00:00Z`).toISOString().startsWith(day);
    return isDay ? at : null;
}
function ageOf(text) {
    const [, amount, unit] = /^(\d+)([dw])$/.exec(text) ?? [];
    if (amount !== undefined)
        return Number(amount) * (unit === 'w' ? 7 : 1) * 86_400_000;
    const ms = /^\d/.test(text) ? parseDuration(text) : undefined;
    return ms === undefined || ms === 0 ? null : ms;
}

// EXTERNAL MODULE: external "node:path"
var external_node_path_ = __webpack_require__(76760);
var external_node_path_default = /*#__PURE__*/__webpack_require__.n(external_node_path_);
// EXTERNAL MODULE: ./src/errors.ts
var errors = __webpack_require__(83916);
// EXTERNAL MODULE: ./src/settings/inputs.ts
var inputs = __webpack_require__(97428);
;// CONCATENATED MODULE: ./src/settings/key-values.ts

/**
 * The lines of a list input: empty lines and lines that begin with `#` are left out, blanks at both ends too.
 */
function linesOf(text) {
    return text
        .split(/\r\n|\n|\r/)
        .map((line) => line.trim())
        .filter((line) => line !== '' && !line.startsWith('#'));
}
/** Names separated by commas, line ends or both. For lists whose members can't hold a comma. */
function wordsOf(text) {
    return linesOf(text).flatMap((line) => line
        .split(',')
        .map((word) => word.trim())
        .filter((word) => word !== ''));
}
/** The same for words that may hold a comma: such a word stands in double quotes. Throws `key-values-invalid` with the input's name. */
function quotedWordsOf(text, input) {
    return linesOf(text).flatMap((line) => fieldsOf(line.replace(/(?:\s*,)+$/, ''), (why) => {
        const hint = 'Separate them by commas or line ends; what holds a comma itself stands in double quotes.';
        return new errors/* CaretakerError */.xT('key-values-invalid', `failed to read ${input}, line "${line}": ${why}`, {
            input,
            hint,
        });
    }));
}
/**
 * One line of the form that Docker's actions use: `type=folder,path=/srv/backups`. It is CSV: a field that holds a comma stands
 * in double quotes, as a whole (`"exclude=a,b"`) or only its value (`exclude="a,b"`); a quote inside is doubled.
 * Throws `key-values-invalid` with the input's name.
 */
function parseKeyValues(line, input) {
    const invalid = (why) => new errors/* CaretakerError */.xT('key-values-invalid', `failed to read ${input}, line "${line}": ${why}`, {
        input,
        hint: 'Write key=value,key=value; a value with a comma in double quotes, as in run="./check.sh a,b".',
    });
    const result = {};
    for (const field of fieldsOf(line, invalid)) {
        const equals = field.indexOf('=');
        if (equals === -1)
            throw invalid(`"${field}" has no "="`);
        const key = field.slice(0, equals).trim();
        if (!/^[a-z][a-z0-9-]*$/.test(key))
            throw invalid(`"${key}" is no key`);
        if (Object.hasOwn(result, key))
            throw invalid(`"${key}" is given twice`);
        result[key] = field.slice(equals + 1).trim();
    }
    return result;
}
function fieldsOf(line, invalid) {
    const fields = [];
    let field = '';
    let quoted = false;
    /** A quoted run has ended in this field: only a comma or the end may follow. */
    let closed = false;
    for (let at = 0; at < line.length; at++) {
        const char = line.charAt(at);
        if (quoted) {
            if (char !== '"')
                field += char;
            else if (line[at + 1] === '"') {
                field += '"';
                at++;
            }
            else {
                quoted = false;
                closed = true;
            }
        }
        else if (char === ',') {
            fields.push(field);
            field = '';
            closed = false;
        }
        else if (closed && char.trim() !== '') {
            throw invalid('text follows a closing quote');
        }
        else if (char === '"' && (field.trim() === '' || /^\s*[^=]+=\s*$/.test(field))) {
            field = field.trimStart();
            quoted = true;
        }
        else if (!closed) {
            field += char;
        }
    }
    if (quoted)
        throw invalid('a double quote is not closed');
    fields.push(field);
    const trimmed = fields.map((text) => text.trim());
    if (trimmed.includes(''))
        throw invalid('there is nothing between two commas, or at an end');
    return trimmed;
}

;// CONCATENATED MODULE: ./src/settings/selection.ts
/** `PART`, `PART/PATH` or `PART:DATABASE`; a text that says what is wrong with it otherwise. */
function parseSelection(text) {
    const [, part = '', mark, rest = ''] = /^([^/:]*)(?:([/:])([^]*))?$/.exec(text) ?? [];
    if (part === '')
        return `"${text}" does not begin with the name of a part`;
    if (mark === undefined)
        return { text, part, what: 'part' };
    if (rest.includes('\0'))
        return `"${text}" holds a NUL character`;
    if (mark === ':') {
        return rest === '' ? `"${text}" names no database` : { text, part, what: 'database', database: rest };
    }
    if (rest.startsWith('/'))
        return `"${text}" has an absolute path behind the part’s name`;
    const names = rest.split('/').filter((name) => name !== '' && name !== '.');
    if (names.includes('..'))
        return `"${text}" leads out of the part by ".."`;
    if (names.length === 0)
        return `"${text}" names nothing inside the part`;
    return { text, part, what: 'path', path: names.join('/') };
}
/** The first two that can't go together: a part beside something of it, databases beside paths, or a path beside one above it. */
function conflictIn(selections) {
    for (const [index, one] of selections.entries()) {
        for (const other of selections.slice(index + 1))
            if (conflicts(one, other))
                return [one, other];
    }
    return undefined;
}
function conflicts(one, other) {
    if (one.part !== other.part)
        return false;
    if (one.what !== other.what)
        return true;
    if (one.what !== 'path' || other.what !== 'path' || one.path === other.path)
        return false;
    return `${one.path}/`.startsWith(`${other.path}/`) || `${other.path}/`.startsWith(`${one.path}/`);
}

// EXTERNAL MODULE: ./src/settings/suggest.ts
var suggest = __webpack_require__(68843);
;// CONCATENATED MODULE: ./src/settings/parse.ts








const engines = {
    auto: 'auto',
    docker: 'docker-compose-v2',
    podman: 'podman-compose',
    'docker-compose-v2': 'docker-compose-v2',
    'podman-compose': 'podman-compose',
};
const allowances = [
    'major',
    'downgrade',
    'prerelease',
    'dirty',
    'postgres-major',
    'unhealthy',
    'version-mismatch',
    'public-artifacts',
];
const PROOFS = ['read', 'databases', 'application'];
const builds = ['auto', 'compose', 'pull', 'none'];
/** Which keys a line of `data` may have, by type: project/data-lines.ts gives them their meaning. */
const dataKeys = {
    postgres: ['type', 'name', 'service', 'method'],
    sqlite: ['type', 'name', 'path', 'service', 'volume'],
    volume: ['type', 'name', 'volume', 'path', 'exclude'],
    directory: ['type', 'name', 'path', 'service', 'volume', 'exclude'],
    file: ['type', 'name', 'path', 'service', 'volume'],
    'project-files': ['type', 'name'],
};
/** Where the project lies: what both caretaker.yml and the parsing start from. */
function projectDirectoryOf(raw, { env, cwd, inWorkflow }) {
    const base = inWorkflow ? (env['GITHUB_WORKSPACE'] ?? cwd) : cwd;
    return external_node_path_default().resolve(base, raw.values['project-directory']?.text.trim() ?? '.');
}
/**
 * Raw values in, settings out, before anything has an effect. Throws CaretakerErrors with all problems at once; each names its input
 * and says what to do.
 */
function parseSettings(raw, environment) {
    const parser = new Parser(raw, environment);
    const settings = parser.settings();
    if (settings === undefined || parser.problems.length > 0)
        throw new errors/* CaretakerErrors */.Ur(parser.problems);
    return settings;
}
/** Collects problems instead of throwing: a value that is wrong is replaced by one that lets the rest be checked. */
class Parser {
    problems;
    #warnings;
    #raw;
    #environment;
    #directory;
    constructor(raw, environment) {
        this.#raw = raw;
        this.#environment = environment;
        this.problems = [...raw.problems];
        this.#warnings = [...raw.warnings];
        this.#directory = projectDirectoryOf(raw, environment);
    }
    settings() {
        const mode = this.#mode();
        if (this.#environment.kindOf(this.#directory) !== 'directory') {
            this.#problem('project-directory-missing', 'project-directory', `there is no directory ${this.#directory}`, {
                hint: 'Set project-directory to the directory that holds the compose file, as an absolute path.',
            });
            // What else is missing below it would only repeat this.
            return undefined;
        }
        if (mode === undefined) {
            this.#acting('backup');
            return undefined;
        }
        this.#warnUnused(mode);
        if (mode === 'list')
            return { mode, ...this.#common(mode) };
        if (mode === 'status')
            return { mode, ...this.#common(mode), data: this.#data(), ...this.#keeping() };
        const acting = this.#acting(mode);
        switch (mode) {
            case 'backup':
                return {
                    mode,
                    ...acting,
                    consistency: this.#oneOf('consistency', ['online', 'stopped'], 'online'),
                    keepLocalDays: this.#days('keep-local-days'),
                };
            case 'recover':
                return { mode, ...acting, finish: this.#environment.inWorkflow || this.#text('store') !== undefined };
            case 'update':
            case 'rehearse':
                return {
                    mode,
                    ...acting,
                    ...this.#target(),
                    ...this.#images(),
                    dryRun: mode === 'update' && this.#flag('dry-run'),
                    rehearse: mode === 'rehearse' ? 'only' : this.#flag('rehearse') ? 'first' : 'no',
                    throwawayNetwork: this.#throwawayNetwork(),
                    migrateCommand: this.#text('migrate-command'),
                    ...this.#keeping(),
                };
            case 'rollback': {
                const withData = this.#withData();
                const confirm = withData ? this.#confirm(acting.projectName) : '';
                return { mode, ...acting, withData, confirm, ...this.#keeping() };
            }
            case 'restore':
                return {
                    mode,
                    ...acting,
                    backup: this.#backup(),
                    only: this.#only(),
                    to: this.#to(),
                    withCode: this.#flag('with-code'),
                    ...this.#images(),
                    confirm: this.#text('to') === undefined ? this.#typed(acting.projectName) : '',
                    ...this.#keeping(),
                };
            case 'verify':
                return {
                    mode,
                    ...acting,
                    backup: this.#backup(),
                    proof: this.#text('proof') === undefined ? undefined : this.#oneOf('proof', PROOFS, 'read'),
                    checks: this.#checks(),
                    throwawayNetwork: this.#throwawayNetwork(),
                };
        }
    }
    // --- Parts of settings ---
    #common(mode) {
        const commands = this.#commands();
        const engine = engines[this.#oneOf('engine', Object.keys(engines), 'auto')];
        const common = {
            projectDirectory: this.#directory,
            composeFiles: this.#files('compose-files', 'compose-file-missing', mode),
            projectName: this.#projectName(),
            profiles: this.#words('profiles'),
            envFiles: this.#files('env-files', 'env-file-missing', mode),
            engine,
            commands,
            stores: this.#stores(mode),
            githubToken: this.#text('github-token'),
            warnings: this.#warnings,
        };
        if (commands !== undefined) {
            for (const name of ['engine', 'compose-files', 'profiles', 'env-files']) {
                if (this.#text(name) !== undefined && !(name === 'engine' && engine === 'auto')) {
                    this.#problem('settings-conflict', name, `${name} and start-command exclude each other`, {
                        hint: 'An application run by commands has no Compose project: leave one of them out.',
                    });
                }
            }
        }
        return common;
    }
    #acting(mode) {
        const common = this.#common(mode);
        const data = this.#data();
        this.#storesOutsideData(common.stores, data);
        const healthTimeoutMs = this.#duration('health-timeout', 300_000);
        const settleMs = this.#duration('settle', 10_000, { zero: true });
        if (healthTimeoutMs < 60_000 && common.commands === undefined) {
            this.#warnings.push(`health-timeout is ${healthTimeoutMs / 1000} s; a container network may need 40 s by itself after a start. Over 60 s is safe.`);
        }
        return {
            ...common,
            data,
            sourceDirectory: this.#sourceDirectory(),
            allow: this.#allow(),
            health: this.#health(),
            healthTimeoutMs,
            settleMs,
        };
    }
    #mode() {
        const text = this.#text('mode');
        if (text === undefined) {
            this.#problem('mode-missing', 'mode', 'mode is not given', { hint: `Set it to one of ${inputs/* modes */.nI.join(', ')}.` });
            return undefined;
        }
        const mode = inputs/* modes */.nI.find((name) => name === text);
        if (mode === undefined) {
            this.#problem('mode-unknown', 'mode', `there is no mode "${text}"`, { hint: (0,suggest/* didYouMean */.a)(text, inputs/* modes */.nI) });
        }
        return mode;
    }
    #warnUnused(mode) {
        for (const [name, value] of Object.entries(this.#raw.values)) {
            // caretaker.yml serves all modes, and the token is always there.
            if (value.from === 'file' || (0,inputs/* inputOf */.wg)(name).modes.includes(mode))
                continue;
            this.#warnings.push(`"${name}" has no effect in mode ${mode}.`);
        }
    }
    #projectName() {
        const text = this.#text('project-name');
        if (text === undefined || /^[a-z0-9][a-z0-9_-]*$/.test(text))
            return text;
        const normal = normalName(text);
        this.#problem('project-name-invalid', 'project-name', `"${text}" can't be the name of a Compose project`, {
            hint: `Compose allows lower-case letters, digits, dashes and underscores${normal === '' ? '' : `: perhaps "${normal}"`}.`,
        });
        return undefined;
    }
    #commands() {
        const names = ['start-command', 'stop-command', 'status-command'];
        const [start, stop, status] = names.map((name) => this.#text(name));
        if (start !== undefined && stop !== undefined && status !== undefined)
            return { start, stop, status };
        const missing = names.filter((name) => this.#text(name) === undefined);
        if (missing.length < names.length) {
            for (const name of missing) {
                this.#problem('commands-incomplete', name, `${name} is missing beside the other commands`, {
                    hint: 'An application without containers needs all three: start-command, stop-command, status-command.',
                });
            }
        }
        return undefined;
    }
    #stores(mode) {
        const lines = this.#lines('store');
        const standard = this.#environment.inWorkflow ? 'type=artifact' : 'type=folder,path=.caretaker/backups';
        const stores = [];
        for (const line of lines.length === 0 ? [standard] : lines) {
            const values = this.#keyValues(line, 'store');
            const store = values === undefined ? undefined : this.#store(values, mode, lines.length === 0);
            if (store === undefined)
                continue;
            const same = stores.some((other) => other.type === store.type &&
                (other.type === 'artifact' || store.type === 'artifact' || other.path === store.path));
            if (same) {
                this.#problem('store-duplicate', 'store', `the store "${line}" is listed twice`, { hint: 'Leave one out.' });
            }
            else
                stores.push(store);
        }
        return stores;
    }
    #store(values, mode, standard) {
        const type = this.#type(values, 'store', ['artifact', 'folder']);
        switch (type) {
            case 'artifact':
                this.#keys(values, 'store', ['type', 'retention-days']);
                return this.#artifactStore(values['retention-days'], mode);
            case 'folder': {
                this.#keys(values, 'store', ['type', 'path']);
                const folder = values['path'];
                if (folder === undefined || folder === '') {
                    this.#problem('store-invalid', 'store', 'a store of type=folder has no path', {
                        hint: 'Write type=folder,path=/srv/backups.',
                    });
                    return undefined;
                }
                const resolved = standard ? external_node_path_default().resolve(this.#directory, folder) : this.#inside('store', folder);
                if (resolved === undefined)
                    return undefined;
                if (this.#environment.kindOf(resolved) === 'file') {
                    this.#problem('store-invalid', 'store', `the store’s path ${resolved} is a file`, {
                        hint: 'Give a directory; it is created when it is missing.',
                    });
                }
                return { type: 'folder', path: resolved };
            }
            case undefined:
                return undefined;
        }
    }
    #artifactStore(retention, mode) {
        const { env } = this.#environment;
        let retentionDays;
        if (retention !== undefined) {
            retentionDays = /^\d+$/.test(retention) ? Number(retention) : 0;
            if (retentionDays < 1 || retentionDays > 400) {
                this.#problem('retention-invalid', 'store', `retention-days=${retention} is not a number of days from 1 to 400`, {
                    hint: 'GitHub keeps artifacts up to 90 days on public repositories and up to 400 on private ones.',
                });
            }
        }
        const repository = env['GITHUB_REPOSITORY'] ?? '';
        const writes = mode === 'backup' || mode === 'update';
        const reads = mode === 'list' || (['restore', 'verify'].includes(mode) && !isPath(this.#text('backup') ?? ''));
        if (isEnterpriseServer(env['GITHUB_SERVER_URL'])) {
            this.#problem('artifact-ghes', 'store', `artifacts of this kind don't exist on ${env['GITHUB_SERVER_URL']}`, {
                hint: 'GitHub Enterprise Server lacks them: use store: type=folder,path=…',
            });
        }
        else if (writes && (!env['ACTIONS_RUNTIME_TOKEN'] || !env['ACTIONS_RESULTS_URL'])) {
            this.#problem('artifact-outside-workflow', 'store', 'artifacts can be written only by the action in a workflow', {
                hint: 'Use store: type=folder,path=… here. A run: step lacks what an action has: call the action by uses: instead.',
            });
        }
        else if (reads || writes) {
            if (reads && this.#text('github-token') === undefined) {
                this.#problem('token-missing', 'github-token', 'artifacts of earlier runs can be read only with a token', {
                    hint: 'In a workflow leave github-token out and grant "permissions: actions: read"; on the command line set GITHUB_TOKEN.',
                });
            }
            if (!/^[^/\s]+\/[^/\s]+$/.test(repository)) {
                this.#problem('repository-missing', 'store', 'it is not known of which repository to read the artifacts', {
                    hint: 'Set the environment variable GITHUB_REPOSITORY to OWNER/REPO.',
                });
            }
        }
        return { type: 'artifact', retentionDays, repository };
    }
    #data() {
        const lines = this.#lines('data');
        if (lines.length === 0 || (lines.length === 1 && lines[0] === 'auto'))
            return 'auto';
        const records = [];
        const seen = new Set();
        for (const line of lines) {
            if (line === 'auto') {
                this.#problem('data-invalid', 'data', '"auto" stands beside other lines', {
                    hint: 'Either "auto" alone, or one line for each thing that holds data.',
                });
                continue;
            }
            const values = this.#keyValues(line, 'data');
            const type = values === undefined ? undefined : this.#type(values, 'data', Object.keys(dataKeys));
            if (values === undefined || type === undefined)
                continue;
            this.#keys(values, 'data', dataKeys[type] ?? []);
            const dataPath = values['path'];
            const resolved = dataPath !== undefined && isHostPath(values) ? this.#inside('data', dataPath) : dataPath;
            if (dataPath === '') {
                this.#problem('data-invalid', 'data', `the line "${line}" has an empty path`, { hint: 'Write path=./local.' });
            }
            const { name, exclude: _, ...place } = values;
            const identities = [
                JSON.stringify({ ...place, path: resolved }),
                ...(name === undefined ? [] : [`name ${name}`]),
            ];
            if (name !== undefined && !/^[a-z0-9][a-z0-9-]*$/.test(name)) {
                this.#problem('data-name-invalid', 'data', `"${name}" can't be the name of a part`, {
                    hint: 'Use lower-case letters, digits and dashes.',
                });
            }
            if (identities.some((identity) => seen.has(identity))) {
                this.#problem('data-duplicate', 'data', `the line "${line}" repeats the name or the place of another`, {
                    hint: 'Every line needs a place, and a name if it has one, of its own.',
                });
            }
            for (const identity of identities)
                seen.add(identity);
            records.push(values);
        }
        return records;
    }
    /** A store inside the data would put each backup into the next one. */
    #storesOutsideData(stores, data) {
        if (data === 'auto')
            return;
        for (const store of stores) {
            for (const line of data) {
                const dataPath = line['path'];
                if (store.type !== 'folder' || line['type'] !== 'directory' || dataPath === undefined || !isHostPath(line))
                    continue;
                const root = external_node_path_default().resolve(this.#directory, dataPath);
                const own = external_node_path_default().join(this.#directory, '.caretaker');
                if (isInside(store.path, root) && !isInside(store.path, own)) {
                    this.#problem('store-inside-data', 'store', `the store ${store.path} lies inside the data ${root}`, {
                        hint: 'Each backup would hold all earlier ones: keep them elsewhere.',
                    });
                }
            }
        }
    }
    #health() {
        const checks = [];
        for (const line of this.#lines('health')) {
            const values = this.#keyValues(line, 'health');
            if (values === undefined)
                continue;
            const type = this.#type(values, 'health', ['http', 'command', 'container']);
            if (type === 'http') {
                this.#keys(values, 'health', ['type', 'url', 'status', 'contains']);
                const url = this.#url(values['url'] ?? '');
                const status = values['status'] ?? '200';
                if (!/^[1-5]\d\d$/.test(status)) {
                    this.#problem('health-status-invalid', 'health', `status=${status} is no HTTP status`, {
                        hint: 'Write three digits, such as status=200.',
                    });
                }
                if (url !== undefined)
                    checks.push({ type, url, status: Number(status), contains: values['contains'] });
            }
            else if (type === 'command') {
                this.#keys(values, 'health', ['type', 'run']);
                const run = values['run'] ?? '';
                if (run === '') {
                    this.#problem('health-invalid', 'health', 'a check of type=command has nothing to run', {
                        hint: 'Write type=command,run=./check.sh.',
                    });
                }
                else
                    checks.push({ type, run });
            }
            else if (type === 'container') {
                // Always looked at: listing it changes nothing.
                this.#keys(values, 'health', ['type']);
            }
        }
        return checks;
    }
    #checks() {
        const checks = [];
        for (const line of this.#lines('check')) {
            const values = this.#keyValues(line, 'check');
            const type = values === undefined ? undefined : this.#type(values, 'check', ['sql', 'command']);
            if (values === undefined || type === undefined)
                continue;
            const needed = type === 'sql' ? ['part', 'query'] : ['run'];
            this.#keys(values, 'check', ['type', ...needed, ...(type === 'sql' ? ['database', 'expect'] : [])]);
            const missing = needed.filter((key) => (values[key] ?? '') === '');
            if (missing.length > 0) {
                this.#problem('check-invalid', 'check', `a check of type=${type} has no ${missing.join(' and no ')}`, {
                    hint: 'Write type=sql,part=database,query=select count(*) from users, or type=command,run=./check.sh.',
                });
            }
            else if (type === 'command')
                checks.push({ type, run: values['run'] ?? '' });
            else {
                const { part = '', query = '', database, expect } = values;
                checks.push({ type, part, query, database, expect });
            }
        }
        return checks;
    }
    #url(text) {
        const url = URL.canParse(text) ? new URL(text) : undefined;
        if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
            this.#problem('url-invalid', 'health', text === '' ? 'a check of type=http has no url' : `"${text}" is no http or https address`, {
                hint: 'Write it in full: url=http://localhost:8000/.',
            });
            return undefined;
        }
        if (url.username !== '' || url.password !== '') {
            this.#problem('url-credentials', 'health', `the address of ${url.host} holds a user name or password, which would show in the log`, {
                hint: 'Check a page that needs no login, or use type=command.',
            });
            return undefined;
        }
        return text;
    }
    #target() {
        const { env } = this.#environment;
        const ref = this.#text('ref');
        const track = this.#text('track') === undefined ? undefined : this.#oneOf('track', ['releases', 'branch'], 'branch');
        // Where `ref` comes in by this run and `track` from the file, the nearer one counts.
        const nearer = this.#raw.values.ref?.from !== this.#raw.values.track?.from;
        if (ref !== undefined && track !== undefined && !nearer) {
            this.#problem('settings-conflict', 'ref', 'ref and track exclude each other', { hint: 'Leave one of them out.' });
        }
        if (ref !== undefined && !isRef(ref)) {
            this.#problem('ref-invalid', 'ref', `"${ref}" can't be the name of a tag, branch or commit`, {
                hint: 'Give a name as git shows it, such as v1.4.0 or main.',
            });
        }
        const fileRef = this.#raw.values.ref?.from === 'file';
        const ofTag = env['GITHUB_REF_TYPE'] === 'tag' && ['push', 'release'].includes(env['GITHUB_EVENT_NAME'] ?? '');
        return {
            ref: track !== undefined && nearer && fileRef ? undefined : ref,
            track: ref !== undefined && nearer && !fileRef ? undefined : track,
            eventTag: this.#environment.inWorkflow && ofTag ? env['GITHUB_REF_NAME'] : undefined,
        };
    }
    #images() {
        return {
            build: this.#build(),
            buildTimeoutMs: this.#duration('build-timeout', 3_600_000),
            cacheImages: this.#oneOf('cache-images', ['true', 'false'], 'false') === 'true',
        };
    }
    #build() {
        const text = this.#text('build') ?? 'auto';
        const kind = builds.find((name) => name === text);
        return kind === undefined ? { kind: 'command', command: text } : { kind };
    }
    #allow() {
        const allowed = [];
        for (const word of this.#words('allow')) {
            const known = allowances.find((name) => name === word);
            if (known !== undefined)
                allowed.push(known);
            else {
                this.#problem('allow-unknown', 'allow', `"${word}" is nothing that can be allowed`, {
                    hint: (0,suggest/* didYouMean */.a)(word, allowances),
                });
            }
        }
        return allowed;
    }
    #backup() {
        const text = this.#text('backup') ?? 'latest';
        if (isPath(text)) {
            const resolved = external_node_path_default().resolve(this.#directory, text);
            if (this.#environment.kindOf(resolved) === null) {
                this.#problem('backup-path-missing', 'backup', `there is nothing at ${resolved}`, {
                    hint: 'Give the path of a folder that holds the backup’s files, or the backup’s name.',
                });
            }
            return { text, by: 'path', path: resolved };
        }
        const choice = parseBackupChoice(text);
        if (choice !== null)
            return choice;
        this.#problem('backup-invalid', 'backup', `"${text}" says nothing of which backup is meant`, {
            hint: 'Write latest, a name such as uso-20261121T220000Z, the digits of a run’s or an artifact’s id, before=2026-11-20 (or with a time: before=2026-11-20T18:30), an age such as 2d or 36h, a version such as v25.09 (version=TAG for any tag), or a path with a slash (./folder).',
        });
        return { text, by: 'latest' };
    }
    #only() {
        const selections = [];
        for (const word of this.#quotedWords('only')) {
            const selection = parseSelection(word);
            if (typeof selection !== 'string')
                selections.push(selection);
            else {
                this.#problem('only-invalid', 'only', selection, {
                    hint: 'Write a part’s name (database), a path inside a part (media/2026/a.png), or one database of a part (database:shop). Paths are relative to the part and taken literally.',
                });
            }
        }
        const [one, other] = conflictIn(selections) ?? [];
        if (one !== undefined && other !== undefined) {
            this.#problem('only-conflict', 'only', `"${one.text}" and "${other.text}" can’t go together`, {
                hint: 'One holds the other, or they are of different kinds: leave one of them out.',
            });
        }
        return selections;
    }
    #to() {
        const text = this.#text('to');
        return text === undefined ? undefined : this.#inside('to', text);
    }
    #withData() {
        const text = this.#text('with-data');
        if (text === undefined) {
            this.#problem('with-data-missing', 'with-data', 'a rollback does not know whether the data are to go back too', {
                hint: 'Write with-data: true to bring back the data from before the update (what was written since is lost), or with-data: false to keep those of now.',
            });
        }
        else if (text !== 'true' && text !== 'false') {
            this.#problem('with-data-invalid', 'with-data', `"${text}" is neither true nor false`, {
                hint: 'Write true or false.',
            });
        }
        return text === 'true';
    }
    #confirm(projectName) {
        const typed = this.#typed(projectName);
        const name = projectName ?? normalName(external_node_path_default().basename(this.#directory));
        if (typed === '') {
            this.#problem('confirm-missing', 'confirm', 'this replaces live data, and confirm is empty', {
                hint: `Type the project's name into confirm: ${name}${projectName === undefined ? ', unless the compose file names it otherwise' : ''}.`,
            });
        }
        return typed;
    }
    /** Empty for a restore on a host where there is nothing to lose; the mode finds out. */
    #typed(projectName) {
        const typed = this.#text('confirm') ?? '';
        if (typed !== '' && projectName !== undefined && typed !== projectName) {
            this.#problem('not-confirmed', 'confirm', `confirm says "${typed}", and the project is ${projectName}`, {
                hint: `Type ${projectName} if this is the project whose data is to be replaced.`,
            });
        }
        return typed;
    }
    #sourceDirectory() {
        const text = this.#text('source-directory');
        if (text === undefined)
            return undefined;
        // It lies elsewhere by its nature: a way out of the project directory is no slip here.
        const resolved = external_node_path_default().resolve(this.#directory, text);
        if (this.#environment.kindOf(resolved) !== 'directory') {
            this.#problem('source-directory-missing', 'source-directory', `there is no directory ${resolved}`, {
                hint: 'Give the git clone that the images are built from, as an absolute path.',
            });
        }
        return resolved;
    }
    // --- Kinds of values ---
    #problem(code, input, message, { hint }) {
        const from = this.#raw.values[input]?.from === 'file' ? ' (in caretaker.yml)' : '';
        this.problems.push(new errors/* CaretakerError */.xT(code, `${input}${from}: ${message}`, { input, hint }));
    }
    /** Undefined for an empty value, which is no value. */
    #text(name) {
        const text = this.#raw.values[name]?.text.trim();
        return text === '' ? undefined : text;
    }
    #lines(name) {
        return linesOf(this.#text(name) ?? '');
    }
    #words(name) {
        return [...new Set(wordsOf(this.#text(name) ?? ''))];
    }
    #quotedWords(name) {
        try {
            return [...new Set(quotedWordsOf(this.#text(name) ?? '', name))];
        }
        catch (error) {
            if (!(error instanceof errors/* CaretakerError */.xT))
                throw error;
            this.problems.push(error);
            return [];
        }
    }
    #oneOf(name, possible, standard) {
        const text = this.#text(name) ?? standard;
        const found = possible.find((value) => value === text);
        if (found === undefined) {
            this.#problem(`${name}-unknown`, name, `"${text}" is unknown`, { hint: (0,suggest/* didYouMean */.a)(text, possible) });
        }
        return found ?? standard;
    }
    #flag(name) {
        return this.#oneOf(name, ['true', 'false'], 'false') === 'true';
    }
    #throwawayNetwork() {
        return this.#oneOf('throwaway-network', ['internal', 'open'], 'internal');
    }
    #duration(name, standard, { zero = false } = {}) {
        const text = this.#text(name);
        if (text === undefined)
            return standard;
        const ms = parseDuration(text);
        if (ms !== undefined && (zero || ms > 0))
            return ms;
        this.#problem('duration-invalid', name, `"${text}" is no time`, {
            hint: /^\d+$/.test(text) && text !== '0' ? `Add a unit: ${text}s or ${text}m.` : 'Write it as 90s, 5m or 1m30s.',
        });
        return standard;
    }
    #count(name, standard) {
        const text = this.#text(name);
        if (text === undefined)
            return standard;
        if (/^\d{1,4}$/.test(text))
            return Number(text);
        this.#problem('number-invalid', name, `"${text}" is not a whole number from 0 to 9999`, {
            hint: 'Write digits only.',
        });
        return standard;
    }
    #days(name) {
        const text = this.#text(name);
        if (text === undefined)
            return undefined;
        if (/^[1-9]\d{0,3}$/.test(text))
            return Number(text);
        this.#problem('number-invalid', name, `"${text}" is not a whole number of days from 1 to 9999`, {
            hint: 'Write digits only, or leave it out.',
        });
        return undefined;
    }
    #keeping() {
        return { keepLocal: this.#count('keep-local', 3), keepLocalDays: this.#days('keep-local-days') };
    }
    #keyValues(line, name) {
        try {
            return parseKeyValues(line, name);
        }
        catch (error) {
            if (!(error instanceof errors/* CaretakerError */.xT))
                throw error;
            this.problems.push(error);
            return undefined;
        }
    }
    #type(values, name, types) {
        const type = values['type'];
        const found = types.find((known) => known === type);
        if (found === undefined) {
            this.#problem(`${name}-type-unknown`, name, type === undefined ? 'a line has no type' : `there is no type "${type}"`, { hint: type === undefined ? `Begin the line with type=${types.join(', type=')}.` : (0,suggest/* didYouMean */.a)(type, types) });
        }
        return found;
    }
    #keys(values, name, known) {
        for (const key of Object.keys(values)) {
            if (!known.includes(key)) {
                this.#problem(`${name}-key-unknown`, name, `type=${values['type']} has no "${key}"`, {
                    hint: (0,suggest/* didYouMean */.a)(key, known),
                });
            }
        }
    }
    /** A restore may bring them. */
    #files(name, missing, mode) {
        return this.#lines(name).flatMap((line) => {
            const file = this.#inside(name, line);
            if (file !== undefined && mode !== 'restore' && this.#environment.kindOf(file) !== 'file') {
                this.#problem(missing, name, `there is no file ${file}`, {
                    hint: 'Give its path relative to the project directory, one file a line.',
                });
            }
            return file === undefined ? [] : [file];
        });
    }
    /** An absolute path is meant as it stands; a relative one that leads out of the project directory is more likely a slip, or an attack. */
    #inside(name, text) {
        const resolved = external_node_path_default().resolve(this.#directory, text);
        if (external_node_path_default().isAbsolute(text) || isInside(resolved, this.#directory))
            return resolved;
        this.#problem('path-outside-project', name, `${text} leads out of the project directory ${this.#directory}`, {
            hint: `If that is meant, write it as an absolute path: ${resolved}`,
        });
        return undefined;
    }
}
/** Beside `service=` a path is the container's, beside `volume=` the volume's. */
function isHostPath(line) {
    return line['service'] === undefined && line['volume'] === undefined;
}
function isInside(inner, outer) {
    return inner === outer || inner.startsWith(outer.endsWith('/') ? outer : `${outer}/`);
}
/** As Compose makes a project's name of a directory's. */
function normalName(text) {
    return text
        .toLowerCase()
        .replace(/[^a-z0-9_-]/g, '')
        .replace(/^[_-]+/, '');
}
/** What git allows in a reference, minus what its revision syntax would read as more than a name. */
function isRef(text) {
    return !/[\s~^:?*[\\\x00-\x1f\x7f]|\.\.|@\{|^[-/.@]|\/\/|[/.]$|\.lock$/.test(text);
}
/** As @actions/artifact judges it. */
function isEnterpriseServer(url) {
    const host = new URL(url !== undefined && URL.canParse(url) ? url : 'https://github.com').hostname.toUpperCase();
    return host !== 'GITHUB.COM' && !host.endsWith('.GHE.COM') && !host.endsWith('.LOCALHOST');
}
/** Whether `backup` names a place on this host. */
function isPath(backup) {
    return backup.includes('/') && !backup.startsWith('version=');
}


/***/ }),

/***/ 89651:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   BK: () => (/* binding */ helpText),
/* harmony export */   D4: () => (/* binding */ withFile),
/* harmony export */   ZN: () => (/* binding */ fromArguments),
/* harmony export */   g2: () => (/* binding */ CONFIG_FILE)
/* harmony export */ });
/* unused harmony export fromAction */
/* harmony import */ var yaml__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(38815);
/* harmony import */ var _errors_js__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(83916);
/* harmony import */ var _inputs_js__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(97428);
/* harmony import */ var _suggest_js__WEBPACK_IMPORTED_MODULE_3__ = __webpack_require__(68843);




const CONFIG_FILE = 'caretaker.yml';
/** The action's inputs: GitHub upper-cases the name and keeps its dashes. An empty value is no value. */
function fromAction(env) {
    const values = {};
    const problems = [];
    const warnings = [];
    for (const [variable, text] of Object.entries(env)) {
        if (!variable.startsWith('INPUT_') || text === undefined || text.trim() === '')
            continue;
        const name = variable.slice('INPUT_'.length).toLowerCase();
        if (isInputName(name)) {
            values[name] = { text, from: 'input' };
        }
        else if (nearest(name, inputNames) !== undefined) {
            problems.push(unknown(`"${name}" is no input of this action`, name));
        }
        else {
            // A variable that somebody else's step left behind is no reason to stop.
            warnings.push(`The input "${name}" is unknown to this action and has no effect.`);
        }
    }
    return { values, problems, warnings };
}
/**
 * The command line: the mode as the first word, then `--name value` or `--name=value`; a list's flag may be repeated.
 * The token comes from the environment (`GITHUB_TOKEN`, `GH_TOKEN`), never from argv, which every user of the host can read.
 */
function fromArguments(argv, env) {
    const values = {};
    const problems = [];
    const switches = { json: false, help: false, version: false, verbose: false };
    const flags = [..._inputs_js__WEBPACK_IMPORTED_MODULE_2__/* .inputNames */ .vj, ...Object.keys(switches)].map((name) => `--${name}`);
    const take = (name, text) => {
        const before = values[name];
        const input = (0,_inputs_js__WEBPACK_IMPORTED_MODULE_2__/* .inputOf */ .wg)(name);
        if (input.secret) {
            problems.push(new _errors_js__WEBPACK_IMPORTED_MODULE_1__/* .CaretakerError */ .xT('secret-in-argv', `--${name} is not taken from the command line, where every user can read it`, {
                input: name,
                hint: 'Put it into the environment variable GITHUB_TOKEN.',
            }));
        }
        else if (before === undefined) {
            values[name] = { text, from: 'flag' };
        }
        else if (input.list !== undefined) {
            values[name] = { text: `${before.text}\n${text}`, from: 'flag' };
        }
        else {
            problems.push(new _errors_js__WEBPACK_IMPORTED_MODULE_1__/* .CaretakerError */ .xT('flag-repeated', `--${name} is given twice`, { input: name, hint: 'Give it once.' }));
        }
    };
    for (let at = 0; at < argv.length; at++) {
        const word = argv[at] ?? '';
        if (word === '-h')
            switches.help = true;
        else if (!word.startsWith('--')) {
            if (values.mode === undefined)
                take('mode', word);
            else {
                problems.push(new _errors_js__WEBPACK_IMPORTED_MODULE_1__/* .CaretakerError */ .xT('argument-unknown', `failed to read the command line: "${word}" belongs to no flag`, {
                    hint: 'After the mode come flags only: --name value. Quote a value that holds blanks.',
                }));
            }
            continue;
        }
        else {
            const equals = word.indexOf('=');
            const name = word.slice(2, equals === -1 ? undefined : equals);
            if (Object.hasOwn(switches, name) && equals === -1) {
                switches[name] = true;
            }
            else if (!(0,_inputs_js__WEBPACK_IMPORTED_MODULE_2__/* .isInputName */ .wp)(name)) {
                problems.push(unknown(`failed to read the command line: there is no flag --${name}`, `--${name}`, flags));
                if (equals === -1 && argv[at + 1]?.startsWith('--') === false)
                    at++;
            }
            else if (equals !== -1) {
                take(name, word.slice(equals + 1));
            }
            else {
                const value = argv[at + 1];
                // `--health --json`: the value was forgotten. One that begins with dashes is written with "=".
                if (value === undefined || value.startsWith('--')) {
                    problems.push(new _errors_js__WEBPACK_IMPORTED_MODULE_1__/* .CaretakerError */ .xT('flag-without-value', `--${name} has no value`, {
                        input: name,
                        hint: `Write --${name} VALUE or --${name}=VALUE.`,
                    }));
                }
                else {
                    take(name, value);
                    at++;
                }
            }
        }
    }
    const token = [env['GITHUB_TOKEN'], env['GH_TOKEN']].find((text) => text !== undefined && text !== '');
    if (token !== undefined)
        values['github-token'] = { text: token, from: 'flag' };
    return { values, problems, warnings: [], options: switches };
}
/**
 * caretaker.yml: the same names as keys; a list as a YAML list or as block text. What was typed before wins.
 * `text` is the file's content, undefined where there is none.
 */
function withFile(above, file, text) {
    if (text === undefined)
        return above;
    const values = {};
    const problems = [];
    const document = (0,yaml__WEBPACK_IMPORTED_MODULE_0__/* .parseDocument */ .Tp)(text);
    const broken = document.errors[0];
    const content = broken === undefined ? readYaml(() => document.toJS(), problems, file) : undefined;
    if (broken !== undefined)
        problems.push(invalidFile(file, broken.message.split('\n')[0] ?? broken.message));
    else if (content !== null && content !== undefined && (typeof content !== 'object' || Array.isArray(content))) {
        problems.push(invalidFile(file, 'it is not a mapping of names to values'));
    }
    else {
        for (const [name, value] of Object.entries(content ?? {}))
            readKey(name, value);
    }
    return {
        values: { ...values, ...above.values },
        problems: [...above.problems, ...problems],
        warnings: above.warnings,
    };
    function readKey(name, value) {
        if (!(0,_inputs_js__WEBPACK_IMPORTED_MODULE_2__/* .isInputName */ .wp)(name)) {
            problems.push(unknown(`failed to read ${file}: "${name}" is no setting`, name));
            return;
        }
        const input = (0,_inputs_js__WEBPACK_IMPORTED_MODULE_2__/* .inputOf */ .wg)(name);
        if (input.perRun) {
            problems.push(new _errors_js__WEBPACK_IMPORTED_MODULE_1__/* .CaretakerError */ .xT('setting-not-for-file', `failed to read ${file}: "${name}" belongs to one run, not into a file`, {
                input: name,
                hint: input.secret
                    ? 'Take it out, and treat it as leaked if others can read the file.'
                    : `Take it out, and give it as an input of the action or as --${name}.`,
            }));
            return;
        }
        if (value === null || value === undefined)
            return;
        const items = Array.isArray(value) ? value : [value];
        const plain = items.every((item) => ['string', 'number', 'boolean'].includes(typeof item));
        if (!plain || (Array.isArray(value) && input.list === undefined)) {
            problems.push(invalidFile(file, input.list === undefined
                ? `"${name}" takes one text`
                : `"${name}" takes a list of texts${input.list === 'lines' && input.example?.includes('=') ? `, such as "${input.example}"` : ''}`, name));
            return;
        }
        values[name] = { text: items.map(String).join('\n'), from: 'file' };
    }
}
function readYaml(read, problems, file) {
    try {
        return read();
    }
    catch (error) {
        // Such as an alias that multiplies without end.
        problems.push(invalidFile(file, (0,_errors_js__WEBPACK_IMPORTED_MODULE_1__/* .messageOf */ .bD)(error)));
        return undefined;
    }
}
function invalidFile(file, why, input) {
    return new _errors_js__WEBPACK_IMPORTED_MODULE_1__/* .CaretakerError */ .xT('config-file-invalid', `failed to read ${file}: ${why}`, {
        ...(input === undefined ? {} : { input }),
        hint: 'It takes the same names as the action’s inputs as keys: see README.md.',
    });
}
function unknown(message, name, among = _inputs_js__WEBPACK_IMPORTED_MODULE_2__/* .inputNames */ .vj) {
    const guess = (0,_suggest_js__WEBPACK_IMPORTED_MODULE_3__/* .nearest */ .p)(name, among);
    return new _errors_js__WEBPACK_IMPORTED_MODULE_1__/* .CaretakerError */ .xT('input-unknown', message, {
        hint: guess === undefined ? 'See --help or README.md for all names.' : (0,_suggest_js__WEBPACK_IMPORTED_MODULE_3__/* .didYouMean */ .a)(name, among),
    });
}
/** What `--help` prints. */
function helpText() {
    const width = Math.max(..._inputs_js__WEBPACK_IMPORTED_MODULE_2__/* .inputs */ .QL.map(({ name }) => name.length)) + 4;
    const plain = (text) => text.replaceAll('`', '');
    const rows = _inputs_js__WEBPACK_IMPORTED_MODULE_2__/* .inputs */ .QL
        .filter(({ name }) => name !== 'mode' && name !== 'github-token')
        .map(({ name, description, default: standard }) => {
        return `  ${`--${name}`.padEnd(width)}${plain(description)}\n  ${''.padEnd(width)}(${plain(standard)})`;
    });
    const switches = [
        ['--json', 'Print the report as JSON on standard output, and no log.'],
        ['--verbose', 'Print more.'],
        ['--version', 'Print the version.'],
        ['--help', 'Print this.'],
    ].map(([flag = '', text = '']) => `  ${flag.padEnd(width)}${text}`);
    return [
        `Usage: compose-caretaker ${_inputs_js__WEBPACK_IMPORTED_MODULE_2__/* .modes */ .nI.join('|')} [--name value]…`,
        '       compose-caretaker install-recovery [--name value]…   (mode recover after each start of the host, by systemd)',
        '',
        ...rows,
        '',
        ...switches,
        '',
        `The same names are keys of ${CONFIG_FILE} in the project directory; a flag wins over the file.`,
        'GITHUB_TOKEN in the environment reads other runs’ artifacts.',
        '',
    ].join('\n');
}


/***/ }),

/***/ 68843:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   a: () => (/* binding */ didYouMean),
/* harmony export */   p: () => (/* binding */ nearest)
/* harmony export */ });
/** Edit distance with transpositions: `priojects` is as near to `projects` as a typing finger is. */
function distance(one, other) {
    const rows = [Array.from({ length: other.length + 1 }, (_, column) => column)];
    const at = (row, column) => rows[row]?.[column] ?? Infinity;
    for (let i = 1; i <= one.length; i++) {
        const row = [i];
        rows.push(row);
        for (let j = 1; j <= other.length; j++) {
            const same = one[i - 1] === other[j - 1] ? 0 : 1;
            const swapped = i > 1 && j > 1 && one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
            row.push(Math.min(at(i - 1, j) + 1, (row[j - 1] ?? Infinity) + 1, at(i - 1, j - 1) + same, swapped ? at(i - 2, j - 2) + 1 : Infinity));
        }
    }
    return at(one.length, other.length);
}
/** The candidate that somebody who typed `word` most likely meant; undefined where none is near enough to be worth a guess. */
function nearest(word, candidates) {
    const normal = word.toLowerCase().replaceAll('_', '-');
    const ranked = candidates
        .map((candidate) => ({ candidate, far: distance(normal, candidate) }))
        .sort((one, other) => one.far - other.far);
    const best = ranked[0];
    return best !== undefined && best.far <= Math.max(1, Math.floor(best.candidate.length / 3))
        ? best.candidate
        : undefined;
}
/** ` Did you mean X?`-sentence, or the list of what is possible. */
function didYouMean(word, candidates) {
    const guess = nearest(word, candidates);
    return guess === undefined ? `Possible are: ${candidates.join(', ')}.` : `Did you mean "${guess}"?`;
}


/***/ }),

/***/ 90997:
/***/ ((module, __webpack_exports__, __webpack_require__) => {

__webpack_require__.a(module, async (__webpack_handle_async_dependencies__, __webpack_async_result__) => { try {
__webpack_require__.r(__webpack_exports__);
/* harmony import */ var node_fs__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(73024);
/* harmony import */ var node_fs__WEBPACK_IMPORTED_MODULE_0___default = /*#__PURE__*/__webpack_require__.n(node_fs__WEBPACK_IMPORTED_MODULE_0__);
/* harmony import */ var node_os__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(48161);
/* harmony import */ var node_os__WEBPACK_IMPORTED_MODULE_1___default = /*#__PURE__*/__webpack_require__.n(node_os__WEBPACK_IMPORTED_MODULE_1__);
/* harmony import */ var _install_recovery_js__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(75884);
/* harmony import */ var _report_errors_text_js__WEBPACK_IMPORTED_MODULE_3__ = __webpack_require__(73883);
/* harmony import */ var _report_silent_js__WEBPACK_IMPORTED_MODULE_8__ = __webpack_require__(13621);
/* harmony import */ var _report_terminal_js__WEBPACK_IMPORTED_MODULE_9__ = __webpack_require__(36218);
/* harmony import */ var _report_texts_js__WEBPACK_IMPORTED_MODULE_4__ = __webpack_require__(88492);
/* harmony import */ var _run_js__WEBPACK_IMPORTED_MODULE_5__ = __webpack_require__(13899);
/* harmony import */ var _settings_sources_js__WEBPACK_IMPORTED_MODULE_6__ = __webpack_require__(89651);
/* harmony import */ var _version_js__WEBPACK_IMPORTED_MODULE_7__ = __webpack_require__(311);










/** The command line over the same core: the report on standard output, the log on standard error. */
const argv = process.argv.slice(2);
const { options, ...raw } = (0,_settings_sources_js__WEBPACK_IMPORTED_MODULE_6__/* .fromArguments */ .ZN)(argv, process.env);
if (options.help || argv.length === 0) {
    process.stdout.write((0,_settings_sources_js__WEBPACK_IMPORTED_MODULE_6__/* .helpText */ .BK)());
}
else if (options.version) {
    process.stdout.write(`${_version_js__WEBPACK_IMPORTED_MODULE_7__/* .VERSION */ .x}\n`);
}
else if (argv[0] === 'install-recovery') {
    try {
        const { username, homedir, uid } = (0,node_os__WEBPACK_IMPORTED_MODULE_1__.userInfo)();
        const program = [process.execPath, (0,node_fs__WEBPACK_IMPORTED_MODULE_0__.realpathSync)(process.argv[1] ?? '')];
        const world = { env: process.env, cwd: process.cwd(), uid, userName: username, home: homedir, program };
        process.stdout.write(`${(await (0,_install_recovery_js__WEBPACK_IMPORTED_MODULE_2__/* .installRecovery */ .p)(argv.slice(1), world)).join('\n')}\n`);
    }
    catch (error) {
        process.stderr.write(`${(0,_report_errors_text_js__WEBPACK_IMPORTED_MODULE_3__/* .renderErrors */ .a$)((0,_report_errors_text_js__WEBPACK_IMPORTED_MODULE_3__/* .errorTexts */ .tX)(error))}\n`);
        process.exitCode = 1;
    }
}
else {
    const log = options.json ? (0,_report_silent_js__WEBPACK_IMPORTED_MODULE_8__/* .silentLog */ .a)() : (0,_report_terminal_js__WEBPACK_IMPORTED_MODULE_9__/* .terminalLog */ .d)(process.stderr, { verbose: options.verbose });
    const { report } = await (0,_run_js__WEBPACK_IMPORTED_MODULE_5__/* .runCaretaker */ .w)({ raw, env: process.env, log, inWorkflow: false });
    const shown = log.redactor.deep(report);
    process.stdout.write(options.json ? (0,_report_texts_js__WEBPACK_IMPORTED_MODULE_4__/* .jsonSummary */ .f)(shown) : (0,_report_texts_js__WEBPACK_IMPORTED_MODULE_4__/* .terminalSummary */ .j)(shown));
    process.exitCode = shown.error === undefined ? 0 : 1;
}

__webpack_async_result__();
} catch(e) { __webpack_async_result__(e); } }, 1);

/***/ }),

/***/ 31650:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   AH: () => (/* binding */ removeTemporaries),
/* harmony export */   EA: () => (/* binding */ ensureDirectory),
/* harmony export */   Wo: () => (/* binding */ appendDurable),
/* harmony export */   vQ: () => (/* binding */ writeDurable),
/* harmony export */   vZ: () => (/* binding */ writeAtomic),
/* harmony export */   yR: () => (/* binding */ readText),
/* harmony export */   zR: () => (/* binding */ syncDirectory),
/* harmony export */   zS: () => (/* binding */ fileError)
/* harmony export */ });
/* harmony import */ var node_crypto__WEBPACK_IMPORTED_MODULE_0__ = __webpack_require__(77598);
/* harmony import */ var node_crypto__WEBPACK_IMPORTED_MODULE_0___default = /*#__PURE__*/__webpack_require__.n(node_crypto__WEBPACK_IMPORTED_MODULE_0__);
/* harmony import */ var node_fs_promises__WEBPACK_IMPORTED_MODULE_1__ = __webpack_require__(51455);
/* harmony import */ var node_fs_promises__WEBPACK_IMPORTED_MODULE_1___default = /*#__PURE__*/__webpack_require__.n(node_fs_promises__WEBPACK_IMPORTED_MODULE_1__);
/* harmony import */ var node_path__WEBPACK_IMPORTED_MODULE_2__ = __webpack_require__(76760);
/* harmony import */ var node_path__WEBPACK_IMPORTED_MODULE_2___default = /*#__PURE__*/__webpack_require__.n(node_path__WEBPACK_IMPORTED_MODULE_2__);
/* harmony import */ var _errors_js__WEBPACK_IMPORTED_MODULE_3__ = __webpack_require__(83916);




/**
 * A coded error for an operation on files that the system refused: `host-files-denied` (permissions), `disk-full`, or
 * `file-operation-failed`. `what` completes "failed to …". An error that is coded already stays as it is.
 */
function fileError(what, cause) {
    if (cause instanceof _errors_js__WEBPACK_IMPORTED_MODULE_3__/* .CaretakerError */ .xT)
        return cause;
    const { code } = cause;
    if (code === 'EACCES' || code === 'EPERM') {
        return new _errors_js__WEBPACK_IMPORTED_MODULE_3__/* .CaretakerError */ .xT('host-files-denied', `failed to ${what}: permission denied`, {
            hint: 'Run as a user who may read and write these files.',
            cause,
        });
    }
    if (code === 'ENOSPC' || code === 'EDQUOT') {
        return new _errors_js__WEBPACK_IMPORTED_MODULE_3__/* .CaretakerError */ .xT('disk-full', `failed to ${what}: no space left`, {
            hint: 'Free some space on that filesystem and run it again.',
            cause,
        });
    }
    return new _errors_js__WEBPACK_IMPORTED_MODULE_3__/* .CaretakerError */ .xT('file-operation-failed', `failed to ${what}: ${(0,_errors_js__WEBPACK_IMPORTED_MODULE_3__/* .messageOf */ .bD)(cause)}`, { cause });
}
/** The file has either its old or its new content, also after a power cut. Mode 0600 unless told. */
async function writeAtomic(file, content, mode = 0o600) {
    const beside = node_path__WEBPACK_IMPORTED_MODULE_2___default().join(node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(file), `.${node_path__WEBPACK_IMPORTED_MODULE_2___default().basename(file)}.${(0,node_crypto__WEBPACK_IMPORTED_MODULE_0__.randomUUID)()}.tmp`);
    try {
        await writeDurable(beside, content, mode);
        await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.rename)(beside, file);
        await syncDirectory(node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(file));
    }
    catch (error) {
        // What went wrong first is what is told.
        await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.rm)(beside, { force: true }).catch(() => undefined);
        throw fileError(`write ${file}`, error);
    }
}
/** Removes what a killed `writeAtomic` left in a directory of ours, or only that of the file `of` in it. Nobody may be writing there. */
async function removeTemporaries(directory, of) {
    for (const name of await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.readdir)(directory)) {
        const [, file] = TEMPORARY.exec(name) ?? [];
        if (file !== undefined && (of === undefined || file === of))
            await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.rm)(node_path__WEBPACK_IMPORTED_MODULE_2___default().join(directory, name), { force: true });
    }
}
const TEMPORARY = /^\.(.+)\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;
/** Writes a new file (an existing one is an error) and forces it to disk, but not its directory entry. */
async function writeDurable(file, content, mode = 0o600) {
    const handle = await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.open)(file, 'wx', mode);
    try {
        await handle.chmod(mode); // The umask took its share.
        await handle.writeFile(content);
        await handle.sync();
    }
    finally {
        await handle.close();
    }
}
/**
 * Appends one line; it is on disk when this is fulfilled. Creates the file (mode 0600), durably too. Where it fails (a full disk) the file is as
 * before: the next line must not continue half of this one.
 */
async function appendDurable(file, line) {
    try {
        const handle = await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.open)(file, 'a', 0o600);
        let isNew;
        try {
            const { size } = await handle.stat();
            isNew = size === 0;
            try {
                await handle.writeFile(`${line}\n`);
                await handle.sync();
            }
            catch (error) {
                await handle.truncate(size).catch(() => undefined); // What went wrong first is what is told.
                throw error;
            }
        }
        finally {
            await handle.close();
        }
        if (isNew)
            await syncDirectory(node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(file));
    }
    catch (error) {
        throw fileError(`append to ${file}`, error);
    }
}
/** Forces the entries of a directory to disk: new, renamed and removed names. */
async function syncDirectory(directory) {
    const handle = await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.open)(directory, 'r');
    try {
        await handle.sync();
    }
    finally {
        await handle.close();
    }
}
/** Null when there is no such file, or the process whose file below /proc it is has ended. */
async function readText(file) {
    try {
        return await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.readFile)(file, 'utf8');
    }
    catch (error) {
        if (['ENOENT', 'ESRCH'].includes(error.code ?? ''))
            return null;
        throw fileError(`read ${file}`, error);
    }
}
/** Makes the directory and its missing parents. */
async function ensureDirectory(directory, mode = 0o700) {
    try {
        await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.mkdir)(directory, { recursive: true, mode });
    }
    catch (error) {
        throw fileError(`make the directory ${directory}`, error);
    }
}


/***/ }),

/***/ 311:
/***/ ((__unused_webpack_module, __webpack_exports__, __webpack_require__) => {

/* harmony export */ __webpack_require__.d(__webpack_exports__, {
/* harmony export */   x: () => (/* binding */ VERSION)
/* harmony export */ });
/** This release; package.json says the same, which a test holds together. */
const VERSION = '0.1.0';


/***/ })

};
