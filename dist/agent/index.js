import { createRequire as __WEBPACK_EXTERNAL_createRequire } from "module";
/******/ var __webpack_modules__ = ({

/***/ 598:
/***/ ((module, __unused_webpack___webpack_exports__, __nccwpck_require__) => {

__nccwpck_require__.a(module, async (__webpack_handle_async_dependencies__, __webpack_async_result__) => { try {
/* harmony import */ var node_stream_consumers__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(321);
/* harmony import */ var node_stream_consumers__WEBPACK_IMPORTED_MODULE_0___default = /*#__PURE__*/__nccwpck_require__.n(node_stream_consumers__WEBPACK_IMPORTED_MODULE_0__);
/* harmony import */ var _errors_js__WEBPACK_IMPORTED_MODULE_1__ = __nccwpck_require__(916);
/* harmony import */ var _health_forwarded_js__WEBPACK_IMPORTED_MODULE_2__ = __nccwpck_require__(165);
/* harmony import */ var _system_files_js__WEBPACK_IMPORTED_MODULE_3__ = __nccwpck_require__(399);
/* harmony import */ var _system_sqlite_js__WEBPACK_IMPORTED_MODULE_4__ = __nccwpck_require__(530);
/* harmony import */ var _system_swaps_js__WEBPACK_IMPORTED_MODULE_5__ = __nccwpck_require__(493);
/* harmony import */ var _system_trees_js__WEBPACK_IMPORTED_MODULE_6__ = __nccwpck_require__(570);
/**
 * Works on the host's files, and in containers' networks, where the main program may not reach: run as `node agent.js OPERATION` under `podman unshare` or in a helper
 * container, with one JSON request on standard input and one JSON answer on standard output. Exit code 0 whenever it answered.
 */







const operations = {
    scan: ({ root }) => (0,_system_trees_js__WEBPACK_IMPORTED_MODULE_6__/* .scanTree */ .wp)(root),
    fingerprint: ({ roots, ...options }) => (0,_system_trees_js__WEBPACK_IMPORTED_MODULE_6__/* .fingerprintTrees */ .OY)(roots, options),
    changes: ({ root, ...options }) => (0,_system_trees_js__WEBPACK_IMPORTED_MODULE_6__/* .treeChanges */ .CJ)(root, options),
    removeMembers: ({ root, names }) => (0,_system_trees_js__WEBPACK_IMPORTED_MODULE_6__/* .removeMembers */ .yq)(root, names),
    oursAt: ({ roots }) => (0,_system_trees_js__WEBPACK_IMPORTED_MODULE_6__/* .oursAt */ .lP)(roots),
    exists: async ({ path }) => (await (0,_system_trees_js__WEBPACK_IMPORTED_MODULE_6__/* .lstatOrNull */ .nd)(path)) !== null,
    kinds: ({ root, paths }) => (0,_system_trees_js__WEBPACK_IMPORTED_MODULE_6__/* .kindsIn */ .Rd)(root, paths),
    swap: (request) => (0,_system_swaps_js__WEBPACK_IMPORTED_MODULE_5__/* .swap */ .w)(request.swap),
    unswap: (request) => (0,_system_swaps_js__WEBPACK_IMPORTED_MODULE_5__/* .unswap */ .L)(request.swap),
    empty: ({ root, keep }) => (0,_system_trees_js__WEBPACK_IMPORTED_MODULE_6__/* .emptyTree */ ["in"])(root, keep),
    remove: ({ paths }) => (0,_system_trees_js__WEBPACK_IMPORTED_MODULE_6__/* .removeTrees */ .Ui)(paths),
    copySqlite: ({ from, to }) => (0,_system_sqlite_js__WEBPACK_IMPORTED_MODULE_4__/* .copySqlite */ .eE)(from, to),
    checkSqlite: ({ path }) => (0,_system_sqlite_js__WEBPACK_IMPORTED_MODULE_4__/* .checkSqlite */ .TI)(path),
    querySqlite: ({ path, query }) => (0,_system_sqlite_js__WEBPACK_IMPORTED_MODULE_4__/* .querySqlite */ .BF)(path, query),
    proveSqlite: ({ path }) => (0,_system_sqlite_js__WEBPACK_IMPORTED_MODULE_4__/* .proveSqlite */ .X5)(path),
    makeDirectory: ({ path, like }) => (0,_system_trees_js__WEBPACK_IMPORTED_MODULE_6__/* .makeDirectoryLike */ .PT)(path, like),
    likeness: ({ path, like }) => (0,_system_trees_js__WEBPACK_IMPORTED_MODULE_6__/* .likeness */ .$R)(path, like),
    sync: ({ path }) => (0,_system_files_js__WEBPACK_IMPORTED_MODULE_3__/* .syncDirectory */ .zR)(path).catch((error) => {
        throw (0,_system_files_js__WEBPACK_IMPORTED_MODULE_3__/* .fileError */ .zS)(`sync ${path}`, error);
    }),
    http: ({ port, ...options }) => (0,_health_forwarded_js__WEBPACK_IMPORTED_MODULE_2__/* .forwardedHttp */ .b)(port, options),
    probe: () => Promise.resolve({ uid: process.getuid?.(), node: process.versions.node }),
};
async function answer(name) {
    try {
        const operation = name !== undefined && Object.hasOwn(operations, name) ? operations[name] : undefined;
        if (operation === undefined)
            throw new _errors_js__WEBPACK_IMPORTED_MODULE_1__/* .CaretakerError */ .xT('agent-request', `there is no agent operation ${String(name)}`);
        const request = await (0,node_stream_consumers__WEBPACK_IMPORTED_MODULE_0__.text)(process.stdin);
        return { ok: true, value: (await operation(JSON.parse(request === '' ? '{}' : request))) ?? null };
    }
    catch (error) {
        return error instanceof _errors_js__WEBPACK_IMPORTED_MODULE_1__/* .CaretakerError */ .xT
            ? { ok: false, code: error.code, message: error.message, hint: error.hint }
            : { ok: false, code: 'agent-failed', message: (0,_errors_js__WEBPACK_IMPORTED_MODULE_1__/* .messageOf */ .bD)(error) };
    }
}
process.stdout.write(JSON.stringify(await answer(process.argv[2])));

__webpack_async_result__();
} catch(e) { __webpack_async_result__(e); } }, 1);

/***/ }),

/***/ 916:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   bD: () => (/* binding */ messageOf),
/* harmony export */   xT: () => (/* binding */ CaretakerError)
/* harmony export */ });
/* unused harmony export CaretakerErrors */
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

/***/ 165:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {


// EXPORTS
__nccwpck_require__.d(__webpack_exports__, {
  b: () => (/* binding */ forwardedHttp)
});

;// CONCATENATED MODULE: external "node:net"
const external_node_net_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:net");
;// CONCATENATED MODULE: external "node:os"
const external_node_os_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:os");
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

;// CONCATENATED MODULE: ./src/health/forwarded.ts



/**
 * Asks an address as if its port were published from this port here: run in a container's network, where nobody else answers at it. Host header, redirects to itself
 * and TLS are those of the real address.
 */
async function forwardedHttp(port, options) {
    const url = new URL(options.url);
    const wanted = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
    const forwards = wanted === port ? [] : await Promise.all(['127.0.0.1', '::1'].map((host) => forward(host, wanted, port)));
    try {
        return await httpProbe(options).check();
    }
    finally {
        for (const end of forwards)
            end();
    }
}
/** Answers with what ends it, also what hangs in it. An address that is not here needs none. */
async function forward(host, from, to) {
    const open = new Set();
    const server = (0,external_node_net_namespaceObject.createServer)((incoming) => {
        // A published port leads to the container's own address, not to its loopback.
        const outgoing = (0,external_node_net_namespaceObject.connect)(to, ownAddress());
        for (const [one, other] of [
            [incoming, outgoing],
            [outgoing, incoming],
        ]) {
            open.add(one);
            one.on('error', () => other.destroy());
            one.pipe(other);
        }
    });
    try {
        await new Promise((resolve, reject) => server.once('error', reject).listen(from, host, resolve));
    }
    catch (error) {
        // Where the container itself listens at it, that is what answers.
        if (!['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EADDRINUSE'].includes(error.code ?? ''))
            throw error;
    }
    return () => {
        server.close();
        for (const socket of open)
            socket.destroy();
    };
}
function ownAddress() {
    const all = Object.values((0,external_node_os_namespaceObject.networkInterfaces)()).flatMap((addresses) => addresses ?? []);
    return all.find(({ internal, family }) => !internal && family === 'IPv4')?.address ?? '127.0.0.1';
}


/***/ }),

/***/ 996:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {


// EXPORTS
__nccwpck_require__.d(__webpack_exports__, {
  xg: () => (/* binding */ diskFull)
});

// UNUSED EXPORTS: freeBytes, isFull, isNoSpace, isOwnFilesystem, mountPoint, noSpaceLeft, sameFilesystem, saysNoSpace

// EXTERNAL MODULE: external "node:fs"
var external_node_fs_ = __nccwpck_require__(24);
// EXTERNAL MODULE: external "node:fs/promises"
var promises_ = __nccwpck_require__(455);
// EXTERNAL MODULE: external "node:path"
var external_node_path_ = __nccwpck_require__(760);
var external_node_path_default = /*#__PURE__*/__nccwpck_require__.n(external_node_path_);
// EXTERNAL MODULE: ./src/errors.ts
var errors = __nccwpck_require__(916);
;// CONCATENATED MODULE: ./src/system/bytes.ts
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

;// CONCATENATED MODULE: ./src/system/disk.ts





/** Bytes that this user may still write where `target` is or would be. Throws `disk-unreadable`. */
async function freeBytes(target) {
    const place = await nearestExisting(target);
    try {
        const { bavail, bsize } = await statfs(place);
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
    const [first, second] = await Promise.all([one, other].map(async (target) => (await stat(await nearestExisting(target))).dev));
    return first === second;
}
/**
 * Whether only one kernel at a time can have the filesystem of this directory, which must be there. False for what other hosts may have too, such as NFS, and
 * for what is not known. Throws `disk-unreadable`.
 */
async function isOwnFilesystem(directory) {
    try {
        return OWN_FILESYSTEMS.has((await statfs(directory)).type);
    }
    catch (error) {
        throw unreadable(directory, error);
    }
}
/** statfs(2): ext2 to ext4, XFS, Btrfs, ZFS, F2FS, bcachefs, tmpfs, and overlayfs, which writes to none but such. */
const OWN_FILESYSTEMS = new Set([
    0xef53, 0x58465342, 0x9123683e, 0x2fc12fc1, 0xf2f52010, 0xca451a4e, 0x01021994, 0x794c7630,
]);
/** Where the filesystem is mounted that `target` is or would be on. A bind mount of the filesystem around it is none. Throws `disk-unreadable`. */
async function mountPoint(target) {
    let place = await nearestExisting(target);
    try {
        place = await realpath(place);
        for (const { dev } = await stat(place); place !== '/'; place = path.dirname(place)) {
            if ((await stat(path.dirname(place))).dev !== dev)
                break;
        }
        return place;
    }
    catch (error) {
        throw unreadable(place, error);
    }
}
/** The third is SQLite’s, in which newer Podmans keep their state; the last is tar’s, of a file that found no room in its middle. */
const SAYS_NO_SPACE = /no space left on device|disk quota exceeded|database or disk is full|wrote only \d+ of \d+ bytes/i;
/** Whether what a program printed tells of a disk without space. */
function saysNoSpace(text) {
    return SAYS_NO_SPACE.test(text);
}
/** Whether something failed for want of space: the system's own word, or that of a program in whatever its error says. */
function isNoSpace(error) {
    for (let at = error; at instanceof Error; at = at.cause) {
        const { code } = at;
        if (code === 'ENOSPC' || code === 'EDQUOT')
            return true;
        const hint = at instanceof CaretakerError ? at.hint : undefined;
        if (saysNoSpace(`${at.message}\n${hint ?? ''}`))
            return true;
    }
    return false;
}
/** `disk-full`: `what` completes "failed to …"; with the numbers of the filesystem as they are now. */
function diskFull(what, wanted, cause) {
    const why = wanted === undefined ? 'no space left' : noSpaceLeft(wanted);
    return new errors/* CaretakerError */.xT('disk-full', `failed to ${what}: ${why}`, {
        hint: 'Free some space on that filesystem and run it again.',
        cause,
    });
}
/** `no space left: it takes up to 64.0 MB, and 1.2 MB of 268 MB are free on /srv`. */
function noSpaceLeft({ place, bytes }) {
    const takes = bytes === undefined ? '' : `it takes up to ${formatBytes(bytes)}, and `;
    return `no space left: ${takes}${freeOn(place)}`;
}
/** Whether not even a few blocks, or no inode, are left: for what fails without a word of why. */
function isFull(place) {
    try {
        const { bavail, bsize, ffree, files } = statfsSync(existingOf(place));
        return bavail * bsize < 64 * 1024 || (files > 0 && ffree === 0);
    }
    catch {
        return false; // What has failed has words of its own.
    }
}
/** Without a promise: what is said of a failure must not come after what is done about it. */
function freeOn(place) {
    try {
        let mount = existingOf(place);
        const { bavail, blocks, bsize, ffree, files } = (0,external_node_fs_.statfsSync)(mount);
        const { dev } = (0,external_node_fs_.statSync)(mount);
        while (mount !== '/' && (0,external_node_fs_.statSync)(external_node_path_default().dirname(mount)).dev === dev)
            mount = external_node_path_default().dirname(mount);
        const inodes = files > 0 && ffree === 0 ? `, with none of ${files} inodes,` : '';
        return `${formatBytes(bavail * bsize)} of ${formatBytes(blocks * bsize)} are free${inodes} on ${mount}`;
    }
    catch (error) {
        return `the filesystem of ${place} can't be looked at (${(0,errors/* messageOf */.bD)(error)})`;
    }
}
function existingOf(place) {
    let existing = external_node_path_default().resolve(place);
    while ((0,external_node_fs_.statSync)(existing, { throwIfNoEntry: false }) === undefined)
        existing = external_node_path_default().dirname(existing);
    return existing;
}
async function nearestExisting(target) {
    for (let place = path.resolve(target);; place = path.dirname(place)) {
        try {
            await stat(place);
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
    return new CaretakerError('disk-unreadable', `failed to look at the filesystem of ${place}: ${messageOf(cause)}`, {
        cause,
    });
}


/***/ }),

/***/ 399:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {


// EXPORTS
__nccwpck_require__.d(__webpack_exports__, {
  zS: () => (/* binding */ fileError),
  zR: () => (/* binding */ syncDirectory)
});

// UNUSED EXPORTS: appendDurable, digestOf, ensureDirectory, readSmall, readSmallOrPipe, readText, removeTemporaries, writeAtomic, writeDurable

// EXTERNAL MODULE: external "node:crypto"
var external_node_crypto_ = __nccwpck_require__(217);
// EXTERNAL MODULE: external "node:fs"
var external_node_fs_ = __nccwpck_require__(24);
// EXTERNAL MODULE: external "node:fs/promises"
var promises_ = __nccwpck_require__(455);
// EXTERNAL MODULE: external "node:path"
var external_node_path_ = __nccwpck_require__(760);
;// CONCATENATED MODULE: external "node:timers/promises"
const external_node_timers_promises_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:timers/promises");
// EXTERNAL MODULE: ./src/errors.ts
var errors = __nccwpck_require__(916);
// EXTERNAL MODULE: ./src/system/disk.ts + 1 modules
var disk = __nccwpck_require__(996);
;// CONCATENATED MODULE: ./src/system/strangers.ts



/*
 * Where another user of the host may write too (a shared folder, a project directory of a group, /tmp), what lies there may be his: a link that leads to what only we may write, a
 * pipe that never ends.
 */
/** Whether it belongs to somebody else than this user, root, and the owner of the directory in which it lies: he can put there what he likes anyway. */
function isStrangers({ uid }, directory) {
    return uid !== 0 && uid !== process.getuid?.() && uid !== directory.uid;
}
/** Whether there is a symbolic link that a stranger made. Throws what the system says but that there is nothing. */
function isStrangersLink(file) {
    const stats = lstatSync(file, { throwIfNoEntry: false });
    return stats?.isSymbolicLink() === true && isStrangers(stats, statSync(path.dirname(file)));
}
/** What has the name of a file is none of ours. */
class strangers_NotAFile extends (/* unused pure expression or super */ null && (Error)) {
}
/** Opens a file to read it, and nothing else that has its name: throws `NotAFile` for a stranger's link, and at once for a pipe or a device. */
async function openFile(file) {
    if (isStrangersLink(file))
        throw new strangers_NotAFile(`${path.basename(file)} is a symbolic link that another user has made`);
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
        if (!(await handle.stat()).isFile())
            throw new strangers_NotAFile(`${path.basename(file)} is no regular file`);
        return handle;
    }
    catch (error) {
        await handle.close();
        throw error;
    }
}

;// CONCATENATED MODULE: ./src/system/files.ts








/**
 * A coded error for an operation on files that the system refused: `host-files-denied` (permissions), `disk-full`, or
 * `file-operation-failed`. `what` completes "failed to …". `wanted`: what was to be written, where the cause itself names no file. An error that
 * is coded already stays as it is.
 */
function fileError(what, cause, wanted) {
    if (cause instanceof errors/* CaretakerError */.xT)
        return cause;
    const { code, path: from, dest } = cause;
    if (code === 'EACCES' || code === 'EPERM') {
        return new errors/* CaretakerError */.xT('host-files-denied', `failed to ${what}: permission denied`, {
            hint: 'Run as a user who may read and write these files.',
            cause,
        });
    }
    if (code === 'ENOSPC' || code === 'EDQUOT') {
        const place = dest ?? from;
        return (0,disk/* diskFull */.xg)(what, wanted ?? (place === undefined ? undefined : { place }), cause);
    }
    return new errors/* CaretakerError */.xT('file-operation-failed', `failed to ${what}: ${(0,errors/* messageOf */.bD)(cause)}`, { cause });
}
/** The file has either its old or its new content, also after a power cut. Mode 0600 unless told. */
async function writeAtomic(file, content, mode = 0o600) {
    const beside = path.join(path.dirname(file), `.${path.basename(file)}.${randomUUID()}.tmp`);
    try {
        await writeDurable(beside, content, mode);
        await rename(beside, file);
        await syncDirectory(path.dirname(file));
    }
    catch (error) {
        // What went wrong first is what is told.
        await rm(beside, { force: true }).catch(() => undefined);
        throw fileError(`write ${file}`, error, { place: file, bytes: Buffer.byteLength(content) });
    }
}
/** Removes what a killed `writeAtomic` left in a directory of ours, or only that of the file `of` in it. Nobody may be writing there. */
async function removeTemporaries(directory, of) {
    for (const name of await readdir(directory)) {
        const [, file] = TEMPORARY.exec(name) ?? [];
        if (file !== undefined && (of === undefined || file === of))
            await rm(path.join(directory, name), { force: true });
    }
}
const TEMPORARY = /^\.(.+)\.[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.tmp$/;
/** Writes a new file (an existing one is an error) and forces it to disk, but not its directory entry. */
async function writeDurable(file, content, mode = 0o600) {
    const handle = await open(file, 'wx', mode);
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
        const handle = await open(file, 'a', 0o600);
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
            await syncDirectory(path.dirname(file));
    }
    catch (error) {
        throw fileError(`append to ${file}`, error, { place: file, bytes: Buffer.byteLength(line) });
    }
}
/** Forces the entries of a directory to disk: new, renamed and removed names. */
async function syncDirectory(directory) {
    const handle = await (0,promises_.open)(directory, 'r');
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
        return await readFile(file, 'utf8');
    }
    catch (error) {
        if (['ENOENT', 'ESRCH'].includes(error.code ?? ''))
            return null;
        throw fileError(`read ${file}`, error);
    }
}
/**
 * The bytes of a small file that came with somebody's code: `NotAFile` for what is none or has more than `limit` bytes, at once for a pipe or a device that never ends; also by a link.
 * Throws besides what the system says.
 */
function readSmall(file, limit) {
    const descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
        if (!fstatSync(descriptor).isFile())
            throw new NotAFile('it is no regular file');
        const bytes = Buffer.alloc(limit + 1);
        let length = 0;
        for (let more = -1; more !== 0; length += more)
            more = readSync(descriptor, bytes, length, bytes.length - length, null);
        if (length > limit)
            throw new NotAFile(`it is larger than ${limit / 1024 / 1024} MiB`);
        return bytes.subarray(0, length);
    }
    finally {
        closeSync(descriptor);
    }
}
/**
 * As `readSmall`, but takes a pipe, too (a password manager may serve secrets by one), and a device that ends (/dev/null). `NotAFile` for more than `limit` bytes, and for a pipe that
 * nobody has written to its end within `timeoutMs`.
 */
async function readSmallOrPipe(file, limit, timeoutMs) {
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
        const isPipe = (await handle.stat()).isFIFO();
        const until = performance.now() + timeoutMs;
        const bytes = Buffer.alloc(limit + 1);
        for (let length = 0;;) {
            const more = await readNow(handle, bytes.subarray(length));
            const waits = more === null || (isPipe && more + length === 0); // No writer yet looks like the end.
            if (more === 0 && !waits)
                return bytes.subarray(0, length);
            length += more ?? 0;
            if (length > limit)
                throw new NotAFile(`it is larger than ${limit / 1024 / 1024} MiB`);
            if (waits && performance.now() > until)
                throw new NotAFile('it is a pipe, and nobody has written to its end');
            if (waits)
                await setTimeout(PIPE_PAUSE_MS);
        }
    }
    finally {
        await handle.close();
    }
}
const PIPE_PAUSE_MS = 20;
/** How many bytes there are now, 0 at the end; null where they are still to come. */
async function readNow(handle, into) {
    try {
        return (await handle.read(into, 0, into.length, null)).bytesRead;
    }
    catch (error) {
        if (error.code === 'EAGAIN')
            return null;
        throw error;
    }
}
/** Makes the directory and its missing parents. */
async function ensureDirectory(directory, mode = 0o700) {
    try {
        await mkdir(directory, { recursive: true, mode });
    }
    catch (error) {
        throw fileError(`make the directory ${directory}`, error);
    }
}
/** SHA-256 of a file's bytes, hex. Throws what reading it throws. */
async function digestOf(file) {
    const hash = createHash('sha256');
    for await (const piece of createReadStream(file, { highWaterMark: 1024 * 1024 }))
        hash.update(piece);
    return hash.digest('hex');
}


/***/ }),

/***/ 530:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {


// EXPORTS
__nccwpck_require__.d(__webpack_exports__, {
  TI: () => (/* binding */ checkSqlite),
  eE: () => (/* binding */ copySqlite),
  X5: () => (/* binding */ proveSqlite),
  BF: () => (/* binding */ querySqlite)
});

// EXTERNAL MODULE: external "node:fs"
var external_node_fs_ = __nccwpck_require__(24);
// EXTERNAL MODULE: external "node:fs/promises"
var promises_ = __nccwpck_require__(455);
// EXTERNAL MODULE: external "node:path"
var external_node_path_ = __nccwpck_require__(760);
var external_node_path_default = /*#__PURE__*/__nccwpck_require__.n(external_node_path_);
;// CONCATENATED MODULE: external "node:url"
const external_node_url_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:url");
// EXTERNAL MODULE: ./src/errors.ts
var errors = __nccwpck_require__(916);
// EXTERNAL MODULE: ./src/system/disk.ts + 1 modules
var disk = __nccwpck_require__(996);
// EXTERNAL MODULE: ./src/system/files.ts + 2 modules
var files = __nccwpck_require__(399);
// EXTERNAL MODULE: ./src/system/trees.ts + 5 modules
var trees = __nccwpck_require__(570);
;// CONCATENATED MODULE: ./src/system/sqlite.ts








/** How long to wait for a writer's lock. */
const BUSY_MS = 60_000;
/** Counts that are longer than this as JSON are left out: a manifest and an answer of the agent have their limits. */
const MAX_COUNTS_CHARACTERS = 256 * 1024;
/** All pages in one step. In smaller ones, each foreign write between two of them makes SQLite begin anew, and a steady writer starves it. */
const ALL_PAGES = 2 ** 31 - 1;
/**
 * A transactional copy of a database that others may be writing to, by SQLite's own backup, checked by `PRAGMA quick_check`, on disk,
 * with owner, group and mode of the original. In WAL mode nobody waits for it; in a rollback-journal mode writers wait while it reads.
 * Answers with the rows of its tables, null where there are too many tables to tell.
 * Throws `copy-exists` (`to` is there), `disk-full`, `sqlite-damaged`, `sqlite-failed` (locked all the time, not a database, …); no copy is left then.
 */
async function copySqlite(from, to) {
    await (await (0,promises_.open)(to, 'wx', 0o600).catch((error) => {
        if (error.code !== 'EEXIST')
            throw (0,files/* fileError */.zS)(`make ${to}`, error);
        throw new errors/* CaretakerError */.xT('copy-exists', `failed to copy ${from}: ${to} is there already`, { cause: error });
    })).close();
    try {
        const { backup } = loadSqlite();
        const source = await openAsItIs(from);
        try {
            await backup(source, to, { rate: ALL_PAGES });
        }
        catch (error) {
            throw sqliteError(`copy ${from}`, error, { place: to, bytes: (await (0,promises_.stat)(from)).size });
        }
        finally {
            source.close();
        }
        const rows = await check(to, 'quick_check', `the copy of ${from}`, rowsOf);
        await (0,trees/* likeness */.$R)(to, from);
        const handle = await (0,promises_.open)(to, 'r+').catch((error) => {
            throw (0,files/* fileError */.zS)(`open ${to}`, error);
        });
        await handle.sync().finally(() => handle.close());
        await (0,files/* syncDirectory */.zR)(external_node_path_default().dirname(to));
        return rows;
    }
    catch (error) {
        for (const suffix of ['', '-journal', '-wal', '-shm'])
            await (0,promises_.rm)(to + suffix, { force: true });
        throw error;
    }
}
/** `PRAGMA integrity_check`; throws `sqlite-damaged`, or `sqlite-failed` where it can't be opened. */
async function checkSqlite(file) {
    return check(file, 'integrity_check', file, () => undefined);
}
/** Likewise, and what the database holds. */
async function proveSqlite(file) {
    return check(file, 'integrity_check', file, (database) => ({ rows: rowsOf(database), orphans: orphansOf(database) }));
}
/** Runs a check of SQLite's own; what `then` reads is read of a database that is whole. */
async function check(file, pragma, name, then) {
    try {
        const database = await openAsItIs(file);
        try {
            const words = database
                .prepare(`PRAGMA ${pragma}(10)`)
                .all()
                .map((row) => String(Object.values(row)[0]));
            if (words.length !== 1 || words[0] !== 'ok')
                throw damaged(name, words.join('; '));
            return then(database);
        }
        finally {
            database.close();
        }
    }
    catch (error) {
        throw sqliteError(`check ${name}`, error);
    }
}
/** Of ordinary tables: what a virtual one holds is in others, and may need a module that only the application has. */
function rowsOf(database) {
    const tables = database
        .prepare(`SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' ORDER BY name`)
        .all()
        .map(({ name }) => String(name))
        .filter((name) => !name.startsWith('sqlite_'));
    const rows = Object.fromEntries(tables.flatMap((table) => {
        // The table itself: an index may need a collation that only the application has, and is no proof of the table.
        const sql = `SELECT count(*) AS rows FROM main."${table.replaceAll('"', '""')}" NOT INDEXED`;
        return unlessOdd(() => [[table, Number(database.prepare(sql).get()?.['rows'])]], []);
    }));
    return JSON.stringify(rows).length > MAX_COUNTS_CHARACTERS ? null : rows;
}
function orphansOf(database) {
    const orphans = new Map();
    unlessOdd(() => {
        for (const { table } of database.prepare('PRAGMA foreign_key_check').iterate())
            orphans.set(String(table), (orphans.get(String(table)) ?? 0) + 1);
    }, undefined);
    return Object.fromEntries(orphans);
}
/** A schema may use what only the application has (functions, collations), or foreign keys that fit no index: that is no damage. */
function unlessOdd(read, otherwise) {
    try {
        return read();
    }
    catch (error) {
        if (resultCode(error) === SQLITE_ERROR)
            return otherwise;
        throw error;
    }
}
/**
 * Opens without changing anything, as far as that is possible.
 *
 * - Read-only is the rule. It can't roll back a hot journal (one stopped application in six leaves one): then it is opened as the
 *   application itself would open it.
 * - A WAL database at rest has no -wal. A read-only connection would make one and leave it; one that may write removes it when it closes.
 */
async function openAsItIs(file) {
    const stat = await (0,trees/* lstatOrNull */.nd)(file);
    if (stat === null)
        throw new errors/* CaretakerError */.xT('sqlite-failed', `failed to open ${file}: there is no such file`);
    const { DatabaseSync: Database } = loadSqlite();
    const connect = (readOnly) => {
        // A URL: a relative or odd name is a name, never a special one such as `:memory:`.
        const database = new Database((0,external_node_url_namespaceObject.pathToFileURL)(file), { readOnly, timeout: BUSY_MS });
        try {
            database.prepare('SELECT count(*) FROM sqlite_schema').get();
            return database;
        }
        catch (error) {
            database.close();
            throw error;
        }
    };
    const restsInWal = (await isWal(file)) && !(0,external_node_fs_.existsSync)(`${file}-wal`);
    if (restsInWal) {
        try {
            return connect(false);
        }
        catch (error) {
            if (!isReadOnlyTrouble(error))
                throw sqliteError(`open ${file}`, error);
        }
    }
    try {
        return connect(true);
    }
    catch (error) {
        if (!isReadOnlyTrouble(error) || restsInWal)
            throw sqliteError(`open ${file}`, error);
    }
    try {
        return connect(false);
    }
    catch (error) {
        throw sqliteError(`open ${file}`, error);
    }
}
/** The first value of a query's first row as text, '' for none. Read-only. Throws `sqlite-damaged`, `sqlite-failed` with SQLite's words. */
async function querySqlite(path, query) {
    const database = await openAsItIs(path);
    try {
        const row = database.prepare(query).get();
        const value = row === undefined ? null : (Object.values(row)[0] ?? null);
        if (value === null)
            return '';
        return typeof value === 'object' ? Buffer.from(value).toString('hex') : String(value);
    }
    catch (error) {
        throw sqliteError(`ask ${path}`, error);
    }
    finally {
        database.close();
    }
}
/** Byte 18 of the header: 2 in WAL mode. */
async function isWal(file) {
    const handle = await (0,promises_.open)(file, 'r').catch((error) => {
        throw (0,files/* fileError */.zS)(`open ${file}`, error);
    });
    try {
        const { buffer, bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, 18);
        return bytesRead === 1 && buffer[0] === 2;
    }
    finally {
        await handle.close();
    }
}
const SQLITE_ERROR = 1;
const SQLITE_READONLY = 8;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;
/** The low byte of SQLite's extended result code. */
function resultCode(error) {
    return (error.errcode ?? 0) & 0xff;
}
function isReadOnlyTrouble(error) {
    return [SQLITE_READONLY, SQLITE_CANTOPEN].includes(resultCode(error));
}
function sqliteError(what, error, wanted) {
    if (error instanceof errors/* CaretakerError */.xT)
        return error;
    if (resultCode(error) === SQLITE_FULL)
        return (0,disk/* diskFull */.xg)(what, wanted, error);
    if ([SQLITE_CORRUPT, SQLITE_NOTADB].includes(resultCode(error))) {
        return damaged(what.replace(/^\S+ /, ''), (0,errors/* messageOf */.bD)(error), error);
    }
    return new errors/* CaretakerError */.xT('sqlite-failed', `failed to ${what}: ${(0,errors/* messageOf */.bD)(error)}`, { cause: error });
}
function damaged(name, words, cause) {
    return new errors/* CaretakerError */.xT('sqlite-damaged', `${name} is damaged: ${words}`, {
        hint: 'Restore a backup from before the damage; SQLite’s own ".recover" saves what can be read of this file.',
        cause,
    });
}
/**
 * Loaded when needed, and quietly: importing it prints an ExperimentalWarning, which would look like trouble on the standard error
 * of an agent. Older Nodes have none.
 */
function loadSqlite() {
    const emitWarning = process.emitWarning.bind(process);
    process.emitWarning = () => undefined;
    try {
        const sqlite = process.getBuiltinModule('node:sqlite');
        if (typeof sqlite?.backup !== 'function') {
            throw new errors/* CaretakerError */.xT('node-too-old', `failed to load SQLite: Node.js ${process.versions.node} has no node:sqlite with backup()`, {
                hint: 'Use Node.js 24.',
            });
        }
        return sqlite;
    }
    finally {
        process.emitWarning = emitWarning;
    }
}


/***/ }),

/***/ 493:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {

/* harmony export */ __nccwpck_require__.d(__webpack_exports__, {
/* harmony export */   L: () => (/* binding */ unswap),
/* harmony export */   w: () => (/* binding */ swap)
/* harmony export */ });
/* harmony import */ var node_fs__WEBPACK_IMPORTED_MODULE_0__ = __nccwpck_require__(24);
/* harmony import */ var node_fs__WEBPACK_IMPORTED_MODULE_0___default = /*#__PURE__*/__nccwpck_require__.n(node_fs__WEBPACK_IMPORTED_MODULE_0__);
/* harmony import */ var node_fs_promises__WEBPACK_IMPORTED_MODULE_1__ = __nccwpck_require__(455);
/* harmony import */ var node_fs_promises__WEBPACK_IMPORTED_MODULE_1___default = /*#__PURE__*/__nccwpck_require__.n(node_fs_promises__WEBPACK_IMPORTED_MODULE_1__);
/* harmony import */ var node_path__WEBPACK_IMPORTED_MODULE_2__ = __nccwpck_require__(760);
/* harmony import */ var node_path__WEBPACK_IMPORTED_MODULE_2___default = /*#__PURE__*/__nccwpck_require__.n(node_path__WEBPACK_IMPORTED_MODULE_2__);
/* harmony import */ var _errors_js__WEBPACK_IMPORTED_MODULE_3__ = __nccwpck_require__(916);
/* harmony import */ var _files_js__WEBPACK_IMPORTED_MODULE_4__ = __nccwpck_require__(399);
/* harmony import */ var _trees_js__WEBPACK_IMPORTED_MODULE_5__ = __nccwpck_require__(570);






/**
 * Completes the swap, from any state that an interrupted swap or unswap has left. What it finds where nothing of ours and nothing of
 * the application should be (an engine makes an absent mount source anew) goes to `ASIDE.caretaker-stray-N`, never away.
 * Throws `swap-impossible` before it touches anything, or a file error.
 */
async function swap(one, before = () => undefined) {
    const act = new Acts(before);
    await refuseUnsafe(one);
    if (one.kind === 'sqlite')
        return swapSqlite(one, act);
    if (isWithin(one.live, one.fresh))
        return swapContents(one, act);
    return swapWhole(one, act);
}
/** Puts the live data back, from any state. Nothing to do is no error. */
async function unswap(one, before = () => undefined) {
    const act = new Acts(before);
    await refuseUnsafe(one);
    if (one.kind === 'sqlite')
        return unswapSqlite(one, act);
    if (isWithin(one.live, one.fresh))
        return unswapContents(one, act);
    return unswapWhole(one, act);
}
/*
 * WHOLE: three names, `live`, `fresh` and `aside`, and two renames.
 *
 *   live   fresh  aside    state                     swap does next           unswap does next
 *   old    new    –        nothing yet               carry; live → aside      carry back
 *   –      new    –        nothing yet, none before  mark aside               –
 *   –      new    old|mark between the renames       fresh → live             aside → live, or unmark; carry back
 *   new    –      old|mark done                      –                        live → fresh, then as above
 *   stray  new    old|mark an engine made live       stray away, then above   stray away, then above
 *
 * The mark that nothing was live before is a dangling symbolic link in aside's place: made in one atomic operation, and never to be mistaken
 * for data. Each row is told from the others by what exists, each operation leads from one row to the next, and each is on disk
 * before the following begins: so an interruption always leaves one of the rows.
 * Carrying: an entry is in exactly one of the two trees at any time; both at once is refused before anything moves.
 */
const NOTHING_WAS_HERE = 'nothing-was-here';
async function swapWhole({ live, fresh, aside, carry }, act) {
    const [hasLive, hasFresh, hasAside] = await Promise.all([live, fresh, aside].map(exists));
    if (!hasFresh) {
        if (hasAside && hasLive)
            return;
        throw impossible(fresh, 'there is nothing to put into its place', live);
    }
    if (!hasAside) {
        if (hasLive) {
            await carryOver(live, fresh, carry, act);
            await act.rename(live, aside);
        }
        else {
            await act.mark(aside);
        }
    }
    else if (hasLive) {
        await act.stray(live, aside);
    }
    await act.rename(fresh, live);
}
async function unswapWhole({ live, fresh, aside, carry }, act) {
    const hasLive = await exists(live);
    const old = await (0,_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .lstatOrNull */ .nd)(aside);
    if (old !== null) {
        if (hasLive) {
            if (await exists(fresh))
                await act.stray(live, aside);
            else
                await act.rename(live, fresh);
        }
        if (await isMark(aside))
            return act.unlink(aside);
        await act.rename(aside, live);
    }
    if (await exists(live))
        await carryOver(fresh, live, carry, act, true);
}
/**
 * Moves the entries that stay. On the way back, an entry of both trees is the live one and stays. What lies behind a symbolic link is not in its tree: a link that came with the data must not
 * have anything moved that is elsewhere.
 */
async function carryOver(from, to, carry, act, back = false) {
    const moves = [];
    for (const name of carry) {
        if (!(await exists(node_path__WEBPACK_IMPORTED_MODULE_2___default().join(from, name))) || (await isBehindLink(from, name)))
            continue;
        if (await isBehindLink(to, name)) {
            if (back)
                continue;
            throw impossible(to, `${name}, which is to be carried over, would go through a symbolic link`, from);
        }
        if (!(await exists(node_path__WEBPACK_IMPORTED_MODULE_2___default().join(to, name))))
            moves.push(name);
        else if (!back)
            throw impossible(to, `it holds ${name}, which is to be carried over`, from);
    }
    for (const name of moves) {
        await parentsLike(from, to, node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(name), act);
        await act.rename(node_path__WEBPACK_IMPORTED_MODULE_2___default().join(from, name), node_path__WEBPACK_IMPORTED_MODULE_2___default().join(to, name));
    }
}
async function isBehindLink(root, name) {
    for (let up = node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(name); up !== '.'; up = node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(up))
        if ((await (0,_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .lstatOrNull */ .nd)(node_path__WEBPACK_IMPORTED_MODULE_2___default().join(root, up)))?.isSymbolicLink() === true)
            return true;
    return false;
}
async function parentsLike(from, to, relative, act) {
    if (relative === '.' || (await exists(node_path__WEBPACK_IMPORTED_MODULE_2___default().join(to, relative))))
        return;
    await parentsLike(from, to, node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(relative), act);
    // Under its own name only with its owner and mode: what is there is taken for complete.
    const made = node_path__WEBPACK_IMPORTED_MODULE_2___default().join(to, `${relative}${_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .OURS */ .o6}-new`);
    if (await exists(made))
        await act.rmdir(made);
    await act.mkdir(made, node_path__WEBPACK_IMPORTED_MODULE_2___default().join(from, relative));
    await act.rename(made, node_path__WEBPACK_IMPORTED_MODULE_2___default().join(to, relative));
}
/*
 * CONTENTS: `fresh` and `aside` are directories inside `live`, whose entries move. Two phases, each a set of renames that can be
 * taken up again, told apart by the file OUT in aside:
 *
 *   aside without OUT   entries of live are old: all go (swap) to aside, or come back (unswap) from it
 *   aside with OUT      entries of live are new: all come (swap) from fresh, or go back (unswap) to it
 *
 * OUT is made when the last old entry is in aside, and removed when the last new one is back in fresh. Owner and mode of live itself follow
 * while OUT is there; aside keeps the old ones from before OUT was made. Entries with `.caretaker` in their name never move.
 */
const OUT = `${_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .OURS */ .o6}-all-out`;
async function swapContents({ live, fresh, aside, carry }, act) {
    if (!(await exists(fresh)))
        throw impossible(fresh, 'there is nothing to put into its place', live);
    if (!(await exists(node_path__WEBPACK_IMPORTED_MODULE_2___default().join(aside, OUT)))) {
        await carryOver(live, fresh, carry, act);
        if (!(await exists(aside)))
            await act.mkdir(aside, live);
        await act.likeness(aside, live);
        await moveEntries(live, aside, aside, act);
        await act.create(node_path__WEBPACK_IMPORTED_MODULE_2___default().join(aside, OUT));
    }
    await moveEntries(fresh, live, aside, act);
    await act.likeness(live, fresh);
}
async function unswapContents({ live, fresh, aside, carry }, act) {
    if (await exists(aside)) {
        if (await exists(node_path__WEBPACK_IMPORTED_MODULE_2___default().join(aside, OUT))) {
            if (!(await exists(fresh)))
                await act.mkdir(fresh, live);
            await moveEntries(live, fresh, aside, act);
            await act.likeness(live, aside);
            await act.unlink(node_path__WEBPACK_IMPORTED_MODULE_2___default().join(aside, OUT));
        }
        await moveEntries(aside, live, aside, act);
        await act.rmdir(aside);
    }
    await carryOver(fresh, live, carry, act, true);
}
/** An entry that stands in the way came from neither us nor the exchange: it goes away first. */
async function moveEntries(from, to, aside, act) {
    for (const name of (await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.readdir)(from)).sort()) {
        if (name.includes(_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .OURS */ .o6))
            continue;
        const inTheWay = node_path__WEBPACK_IMPORTED_MODULE_2___default().join(to, name);
        if (await exists(inTheWay))
            await act.stray(inTheWay, aside);
        await act.rename(node_path__WEBPACK_IMPORTED_MODULE_2___default().join(from, name), inTheWay);
    }
}
/*
 * SQLITE: a database is its main file and a hot -journal or -wal: one without the other is damage, and an application that an engine starts
 * at the wrong moment makes it for ever (SQLite deletes a journal beside an empty database, and opens a database without its
 * journal as if nothing were). So the set must change hands in ONE operation, the rename of the main file:
 *
 *   swap    1 sidecars get a second name in aside (hard links; their live names stay)
 *           2 main → aside                       ← from here on the old database is the one in aside, whole
 *           3 what is left at live goes away (old names of the sidecars; whatever was made there meanwhile)
 *           4 fresh → live
 *   unswap  5 the new main → fresh, or removed together with sidecars of its own; then DROPPED is made in aside
 *           6 strays away; aside's sidecars get their live names again (links)
 *           7 main → live                        ← from here on the old database is the live one, whole
 *           8 aside is emptied and removed
 *
 *   aside holds main?  no: live is the truth, and sidecars in aside are mere second names: swap makes them anew, unswap drops them.
 *                      yes: aside is the truth; with fresh there, swap is between 2 and 4 (or unswap is after 5): nothing at live matters.
 *
 * Before 2 and after 7 an application may open live, and change or delete its sidecars: aside's names are dropped then, never put back.
 * Between them it can only make a new database at live, which goes to the strays. Where no main was live before, the file NONE
 * stands for it in aside. Where the filesystem knows no hard links, the sidecars are copied.
 */
const SIDECARS = ['-wal', '-shm', '-journal'];
const NONE = `${_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .OURS */ .o6}-nothing-was-here`;
const DROPPED = `${_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .OURS */ .o6}-new-dropped`;
async function swapSqlite({ live, fresh, aside }, act) {
    const main = node_path__WEBPACK_IMPORTED_MODULE_2___default().join(aside, node_path__WEBPACK_IMPORTED_MODULE_2___default().basename(live));
    const none = node_path__WEBPACK_IMPORTED_MODULE_2___default().join(aside, NONE);
    const isAside = (await exists(main)) || (await exists(none));
    if (!(await exists(fresh))) {
        if (isAside && (await exists(live)))
            return;
        throw impossible(fresh, 'there is nothing to put into its place', live);
    }
    for (const sidecar of ['-wal', '-journal']) {
        if (await exists(fresh + sidecar))
            throw impossible(fresh, `it is not one file, there is ${fresh}${sidecar}`, live);
    }
    if (!isAside) {
        if (!(await exists(aside)))
            await act.mkdir(aside, node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(live));
        for (const sidecar of SIDECARS) {
            await act.unlinkIfThere(main + sidecar);
            if (await exists(live + sidecar))
                await act.secondName(live + sidecar, main + sidecar);
        }
        if (await exists(live))
            await act.rename(live, main);
        else
            await act.create(none);
    }
    await act.unlinkIfThere(node_path__WEBPACK_IMPORTED_MODULE_2___default().join(aside, DROPPED));
    await clearLive(live, main, aside, act);
    await act.rename(fresh, live);
}
async function unswapSqlite({ live, fresh, aside }, act) {
    const main = node_path__WEBPACK_IMPORTED_MODULE_2___default().join(aside, node_path__WEBPACK_IMPORTED_MODULE_2___default().basename(live));
    const none = node_path__WEBPACK_IMPORTED_MODULE_2___default().join(aside, NONE);
    const dropped = node_path__WEBPACK_IMPORTED_MODULE_2___default().join(aside, DROPPED);
    if (!(await exists(aside)))
        return;
    const hasMain = await exists(main);
    if (hasMain || (await exists(none))) {
        if (!(await exists(dropped))) {
            if (!(await exists(fresh)) && (await exists(live)))
                await dropNew(live, fresh, act);
            await act.create(dropped);
        }
        await clearLive(live, main, aside, act);
        for (const sidecar of SIDECARS) {
            if (await exists(main + sidecar))
                await act.secondName(main + sidecar, live + sidecar);
        }
        if (hasMain)
            await act.rename(main, live);
        else
            await act.unlink(none);
    }
    for (const sidecar of SIDECARS)
        await act.unlinkIfThere(main + sidecar);
    await act.unlinkIfThere(dropped);
    await act.rmdir(aside);
}
/** Kept as `fresh` only while it is whole in one file: half a database must not be swapped in again. */
async function dropNew(live, fresh, act) {
    const own = (await Promise.all(SIDECARS.map(async (sidecar) => ((await exists(live + sidecar)) ? [sidecar] : [])))).flat();
    if (own.length === 0)
        return act.rename(live, fresh);
    // Its main file first: without it the sidecars are nobody's, and go with the strays when this is interrupted.
    await act.unlink(live);
    for (const sidecar of own)
        await act.unlink(live + sidecar);
}
/** The old set is safe in aside: what is at live is either another name of it, or was made meanwhile. */
async function clearLive(live, main, aside, act) {
    for (const suffix of ['', ...SIDECARS]) {
        const there = await (0,_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .lstatOrNull */ .nd)(live + suffix);
        if (there === null)
            continue;
        const kept = await (0,_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .lstatOrNull */ .nd)(main + suffix);
        if (kept !== null && kept.ino === there.ino && kept.dev === there.dev)
            await act.unlink(live + suffix);
        else
            await act.stray(live + suffix, aside);
    }
}
async function exists(file) {
    return (await (0,_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .lstatOrNull */ .nd)(file)) !== null;
}
async function isMark(file) {
    return (await (0,_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .lstatOrNull */ .nd)(file))?.isSymbolicLink() === true;
}
function isWithin(directory, file) {
    return file.startsWith(directory.endsWith('/') ? directory : `${directory}/`);
}
/** What can be said wrong without looking at the data: relative paths, links, names that a cleaning-up would refuse to remove. */
async function refuseUnsafe(one) {
    for (const file of [one.live, one.fresh, one.aside]) {
        if (!node_path__WEBPACK_IMPORTED_MODULE_2___default().isAbsolute(file) || node_path__WEBPACK_IMPORTED_MODULE_2___default().normalize(file) !== file) {
            throw impossible(file, 'it is not a plain absolute path', one.live);
        }
    }
    if ((await (0,_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .lstatOrNull */ .nd)(one.live))?.isSymbolicLink()) {
        throw impossible(one.live, 'it is a symbolic link; give the path that it leads to', one.live);
    }
    const { root } = one;
    for (let up = node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(one.live); root !== undefined && isWithin(root, up); up = node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(up)) {
        if ((await (0,_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .lstatOrNull */ .nd)(up))?.isSymbolicLink())
            throw impossible(up, 'it is a symbolic link now', one.live);
    }
    if (isWithin(one.live, one.fresh) !== isWithin(one.live, one.aside)) {
        throw impossible(one.fresh, `${one.aside} must be inside the live data as well, or both outside`, one.live);
    }
    for (const name of one.kind === 'sqlite' ? [] : one.carry) {
        const joined = node_path__WEBPACK_IMPORTED_MODULE_2___default().join(one.live, name);
        if (!isWithin(one.live, joined))
            throw impossible(joined, 'what is carried over must be inside', one.live);
    }
}
function impossible(what, why, live) {
    return new _errors_js__WEBPACK_IMPORTED_MODULE_3__/* .CaretakerError */ .xT('swap-impossible', `failed to exchange ${live}: ${what}: ${why}`);
}
/** The operations, each durable when it is fulfilled. */
class Acts {
    #before;
    constructor(before) {
        this.#before = before;
    }
    async #do(what, directories, work) {
        this.#before(what);
        try {
            await work();
            for (const directory of new Set(directories))
                await (0,_files_js__WEBPACK_IMPORTED_MODULE_4__/* .syncDirectory */ .zR)(directory);
        }
        catch (error) {
            throw (0,_files_js__WEBPACK_IMPORTED_MODULE_4__/* .fileError */ .zS)(what, error);
        }
    }
    rename(from, to) {
        return this.#do(`rename ${from} to ${to}`, [node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(to), node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(from)], () => (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.rename)(from, to));
    }
    mark(file) {
        return this.#do(`mark ${file}`, [node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(file)], () => (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.symlink)(NOTHING_WAS_HERE, file));
    }
    unlink(file) {
        return this.#do(`remove ${file}`, [node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(file)], () => (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.unlink)(file));
    }
    async unlinkIfThere(file) {
        if (await exists(file))
            await this.unlink(file);
    }
    rmdir(directory) {
        return this.#do(`remove ${directory}`, [node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(directory)], () => (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.rmdir)(directory));
    }
    async mkdir(directory, like) {
        await this.#do(`make ${directory}`, [node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(directory)], () => (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.mkdir)(directory, { mode: 0o700 }));
        await this.likeness(directory, like);
    }
    likeness(target, like) {
        return this.#do(`give ${target} the owner and mode of ${like}`, [target], () => (0,_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .likeness */ .$R)(target, like));
    }
    create(file) {
        return this.#do(`make ${file}`, [node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(file)], async () => {
            await (await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.open)(file, 'a', 0o600)).close();
        });
    }
    secondName(file, second) {
        return this.#do(`link ${file} to ${second}`, [node_path__WEBPACK_IMPORTED_MODULE_2___default().dirname(second)], async () => {
            try {
                await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.link)(file, second);
            }
            catch (error) {
                // No hard links here, or not for who does not own the file (fs.protected_hardlinks).
                if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK'].includes(error.code ?? ''))
                    throw error;
                await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.copyFile)(file, second, node_fs__WEBPACK_IMPORTED_MODULE_0__.constants.COPYFILE_EXCL);
                await (0,_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .likeness */ .$R)(second, file);
                const handle = await (0,node_fs_promises__WEBPACK_IMPORTED_MODULE_1__.open)(second, 'r');
                await handle.sync().finally(() => handle.close());
            }
        });
    }
    async stray(file, aside) {
        for (let number = 1;; number++) {
            const place = `${aside}${_trees_js__WEBPACK_IMPORTED_MODULE_5__/* .OURS */ .o6}-stray-${number}`;
            if (await exists(place))
                continue;
            return this.rename(file, place);
        }
    }
}


/***/ }),

/***/ 570:
/***/ ((__unused_webpack_module, __webpack_exports__, __nccwpck_require__) => {


// EXPORTS
__nccwpck_require__.d(__webpack_exports__, {
  o6: () => (/* binding */ OURS),
  "in": () => (/* binding */ emptyTree),
  OY: () => (/* binding */ fingerprintTrees),
  Rd: () => (/* binding */ kindsIn),
  $R: () => (/* binding */ likeness),
  nd: () => (/* binding */ lstatOrNull),
  PT: () => (/* binding */ makeDirectoryLike),
  lP: () => (/* binding */ oursAt),
  yq: () => (/* binding */ removeMembers),
  Ui: () => (/* binding */ removeTrees),
  wp: () => (/* binding */ scanTree),
  CJ: () => (/* binding */ treeChanges)
});

// UNUSED EXPORTS: removeOwnTree

;// CONCATENATED MODULE: external "node:child_process"
const external_node_child_process_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:child_process");
// EXTERNAL MODULE: external "node:crypto"
var external_node_crypto_ = __nccwpck_require__(217);
;// CONCATENATED MODULE: external "node:events"
const external_node_events_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:events");
// EXTERNAL MODULE: external "node:fs"
var external_node_fs_ = __nccwpck_require__(24);
// EXTERNAL MODULE: external "node:fs/promises"
var promises_ = __nccwpck_require__(455);
// EXTERNAL MODULE: external "node:path"
var external_node_path_ = __nccwpck_require__(760);
var external_node_path_default = /*#__PURE__*/__nccwpck_require__.n(external_node_path_);
;// CONCATENATED MODULE: external "node:readline"
const external_node_readline_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:readline");
;// CONCATENATED MODULE: external "node:stream/promises"
const external_node_stream_promises_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:stream/promises");
;// CONCATENATED MODULE: external "node:util"
const external_node_util_namespaceObject = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:util");
// EXTERNAL MODULE: ./src/errors.ts
var errors = __nccwpck_require__(916);
// EXTERNAL MODULE: ./src/system/files.ts + 2 modules
var files = __nccwpck_require__(399);
;// CONCATENATED MODULE: ./src/system/trees.ts











/** What this product puts beside data carries this in its name; it is never data. */
const OURS = '.caretaker';
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
            found.sqliteFiles.push(external_node_path_default().relative(real, file) || '.');
        }
    };
    const visitDirectory = async (directory, directoryStat, within) => {
        found.bytes += directoryStat.blocks * 512;
        const names = await listOrEmpty(directory);
        const isCluster = !within &&
            names.includes('PG_VERSION') &&
            (await lstatOrNull(external_node_path_default().join(directory, 'global/pg_control'))) !== null;
        if (isCluster)
            found.postgresDirectories.push(external_node_path_default().relative(real, directory) || '.');
        const name = external_node_path_default().relative(real, directory);
        const isCache = names.includes('CACHEDIR.TAG') || name === '__pycache__';
        if (isCache && external_node_path_default().dirname(directory) === real)
            found.caches.push(name);
        for (const entry of names) {
            if (entry.includes(OURS))
                continue;
            const member = external_node_path_default().join(directory, entry);
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
    const hash = (0,external_node_crypto_.createHash)('sha256');
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
            if (member.includes(OURS) || left.has(memberPlain))
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
    await (0,external_node_util_namespaceObject.promisify)(external_node_child_process_namespaceObject.execFile)('sync', ['--file-system', '--', stat.isDirectory() ? real : external_node_path_default().dirname(real)]);
}
/** Names in an answer: more is no small change, and an answer that is passed through a pipe must end. */
const MAX_CHANGE_BYTES = 512 * 1024;
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
    const out = (0,external_node_fs_.createWriteStream)(next, { mode: 0o600, flags: 'w' });
    const written = (0,external_node_stream_promises_namespaceObject.finished)(out);
    written.catch(() => undefined);
    try {
        let then = await before?.next();
        for await (const entry of entriesOf(root, exclude, false)) {
            // What has failed never drains.
            if (!out.write(`${JSON.stringify([entry.name, entry.type, entry.state])}\n`))
                await Promise.race([(0,external_node_events_namespaceObject.once)(out, 'drain'), written]);
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
        await (0,promises_.rename)(next, note);
    }
    catch (error) {
        out.destroy();
        const bytes = (await lstatOrNull(note))?.size;
        throw (0,files/* fileError */.zS)(`note what is in ${root}`, error, { place: note, bytes });
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
        const input = (0,external_node_fs_.createReadStream)(note);
        try {
            for await (const line of (0,external_node_readline_namespaceObject.createInterface)({ input })) {
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
    const hostile = (name, why) => new errors/* CaretakerError */.xT('part-hostile', `refused to remove "${name}" in ${root}: it ${why}`, {
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
                await (0,promises_.rmdir)(place);
            }
            else
                await (0,promises_.unlink)(place);
        }
        catch (error) {
            throw (0,files/* fileError */.zS)(`remove ${place.toString()}`, error);
        }
    }
}
/** As they are on disk: a name need not be UTF-8, and one that was decoded wrong leads nowhere. */
async function rawNames(directory) {
    try {
        return await (0,promises_.readdir)(directory, { encoding: 'buffer' });
    }
    catch (error) {
        if (isAbsent(error))
            return [];
        throw (0,files/* fileError */.zS)(`list ${directory.toString()}`, error);
    }
}
function inside(directory, name) {
    return Buffer.concat([directory, Buffer.from((external_node_path_default()).sep), name]);
}
async function bigStatOrNull(file) {
    try {
        return await (0,promises_.lstat)(file, { bigint: true });
    }
    catch (error) {
        if (isAbsent(error))
            return null;
        throw (0,files/* fileError */.zS)(`look at ${file.toString()}`, error);
    }
}
async function isSqlite(file) {
    try {
        // NOFOLLOW, NONBLOCK: it may have become a link or a pipe since it was looked at.
        const handle = await (0,promises_.open)(file, external_node_fs_.constants.O_RDONLY | external_node_fs_.constants.O_NOFOLLOW | external_node_fs_.constants.O_NONBLOCK);
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
        throw (0,files/* fileError */.zS)(`read ${file}`, error);
    }
}
async function listOrEmpty(directory) {
    try {
        const names = [];
        for await (const entry of await (0,promises_.opendir)(directory))
            names.push(entry.name);
        return names;
    }
    catch (error) {
        if (error.code === 'ENOENT')
            return [];
        throw (0,files/* fileError */.zS)(`list ${directory}`, error);
    }
}
/** What is ours beside these trees and files, and directly in them, as far as this process may look. */
async function oursAt(roots) {
    const places = new Set(roots.flatMap((root) => [external_node_path_default().dirname(root), root]));
    const found = [];
    for (const place of places) {
        const names = await (0,promises_.readdir)(place).catch((error) => {
            if (['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM'].includes(error.code ?? ''))
                return [];
            throw (0,files/* fileError */.zS)(`list ${place}`, error);
        });
        found.push(...names.filter((name) => name.includes(`${OURS}-`)).map((name) => external_node_path_default().join(place, name)));
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
        throw (0,files/* fileError */.zS)(`look at ${file}`, error);
    }
}
/** What lies at paths below `root` ('' for itself), links not followed; null for nothing, and for what would be behind a link that is listed before it. */
async function kindsIn(root, paths) {
    const kinds = [];
    for (const one of paths) {
        const isBehindLink = paths.some((up, index) => kinds[index] === 'link' && one.startsWith(`${up}/`));
        const stat = isBehindLink ? null : await lstatOrNull(external_node_path_default().join(root, one));
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
        return await (0,promises_.realpath)(file);
    }
    catch (error) {
        if (isAbsent(error))
            return null;
        throw (0,files/* fileError */.zS)(`look at ${file}`, error);
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
        const normal = external_node_path_default().resolve(given);
        // A link on the way may lead anywhere: what counts is where the last component really is.
        const parent = await realpathOrNull(external_node_path_default().dirname(normal));
        const target = external_node_path_default().join(parent ?? external_node_path_default().dirname(normal), external_node_path_default().basename(normal));
        if (!external_node_path_default().isAbsolute(given) ||
            !normal.includes(OURS) ||
            !target.split((external_node_path_default()).sep).some((part) => part.includes(OURS))) {
            throw new errors/* CaretakerError */.xT('not-ours', `refused to remove ${given}: it is not one of the caretaker's own files`);
        }
        if (parent !== null)
            targets.push(target);
    }
    for (const target of targets) {
        try {
            await (0,promises_.rm)(target, { recursive: true, force: true });
            await (0,files/* syncDirectory */.zR)(external_node_path_default().dirname(target));
        }
        catch (error) {
            throw (0,files/* fileError */.zS)(`remove ${target}`, error);
        }
    }
}
/** Removes what this user has unpacked, directories included that he may not write in as they were stored. */
async function removeOwnTree(root) {
    const open = async (directory) => {
        await chmod(directory, 0o700);
        for (const entry of await readdir(directory, { withFileTypes: true }))
            if (entry.isDirectory())
                await open(path.join(directory, entry.name));
    };
    if ((await lstatOrNull(root))?.isDirectory())
        await open(root);
    await rm(root, { recursive: true, force: true });
}
/** Removes what is in a directory, but for `keep` (relative paths, with all below), the caretaker's own files and other filesystems. */
async function emptyTree(root, keep) {
    try {
        const top = await lstatOrNull(root);
        if (top?.isDirectory() === true)
            await emptyBelow(Buffer.from(root), keep, BigInt(top.dev));
    }
    catch (error) {
        throw (0,files/* fileError */.zS)(`empty ${root}`, error);
    }
}
async function emptyBelow(directory, keep, device) {
    for (const entry of await rawNames(directory)) {
        const name = entry.toString();
        if (entry.includes(OURS) || keep.includes(name))
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
                await (0,promises_.rmdir)(place);
        }
        else {
            await (0,promises_.unlink)(place);
        }
    }
    await (0,files/* syncDirectory */.zR)(directory);
}
/** A new directory with owner, group and mode of `like`. Its parent must be there, itself not. */
async function makeDirectoryLike(directory, like) {
    try {
        await (0,promises_.mkdir)(directory, { mode: 0o700 });
        await likeness(directory, like);
        await (0,files/* syncDirectory */.zR)(external_node_path_default().dirname(directory));
    }
    catch (error) {
        throw (0,files/* fileError */.zS)(`make the directory ${directory}`, error);
    }
}
/** Owner, group and mode of `like` for `target` itself. */
async function likeness(target, like) {
    try {
        const model = await (0,promises_.lstat)(like);
        const now = await (0,promises_.lstat)(target);
        // Only when needed: who is not root may not even give a file to himself everywhere.
        const isAnothers = now.uid !== model.uid || now.gid !== model.gid;
        if (isAnothers)
            await (0,promises_.lchown)(target, model.uid, model.gid);
        // After the owner: a change of owner takes setuid and setgid bits away. A mount point may be root's, and writable for us.
        if (!now.isSymbolicLink() && (isAnothers || now.mode !== model.mode))
            await (0,promises_.chmod)(target, model.mode & 0o7777);
    }
    catch (error) {
        throw (0,files/* fileError */.zS)(`give ${target} the owner and mode of ${like}`, error);
    }
}


/***/ }),

/***/ 217:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:crypto");

/***/ }),

/***/ 24:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:fs");

/***/ }),

/***/ 455:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:fs/promises");

/***/ }),

/***/ 760:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:path");

/***/ }),

/***/ 321:
/***/ ((module) => {

module.exports = __WEBPACK_EXTERNAL_createRequire(import.meta.url)("node:stream/consumers");

/***/ })

/******/ });
/************************************************************************/
/******/ // The module cache
/******/ var __webpack_module_cache__ = {};
/******/ 
/******/ // The require function
/******/ function __nccwpck_require__(moduleId) {
/******/ 	// Check if module is in cache
/******/ 	var cachedModule = __webpack_module_cache__[moduleId];
/******/ 	if (cachedModule !== undefined) {
/******/ 		return cachedModule.exports;
/******/ 	}
/******/ 	// Create a new module (and put it into the cache)
/******/ 	var module = __webpack_module_cache__[moduleId] = {
/******/ 		// no module.id needed
/******/ 		// no module.loaded needed
/******/ 		exports: {}
/******/ 	};
/******/ 
/******/ 	// Execute the module function
/******/ 	var threw = true;
/******/ 	try {
/******/ 		__webpack_modules__[moduleId](module, module.exports, __nccwpck_require__);
/******/ 		threw = false;
/******/ 	} finally {
/******/ 		if(threw) delete __webpack_module_cache__[moduleId];
/******/ 	}
/******/ 
/******/ 	// Return the exports of the module
/******/ 	return module.exports;
/******/ }
/******/ 
/************************************************************************/
/******/ /* webpack/runtime/asset-relocator-loader */
/******/ if (typeof __nccwpck_require__ !== 'undefined') __nccwpck_require__.ab = decodeURIComponent(new URL('.', import.meta.url).pathname).slice(import.meta.url.match(/^file:\/\/\/\w:/) ? 1 : 0, -1) + "/";
/******/ 
/******/ /* webpack/runtime/async module */
/******/ (() => {
/******/ 	var webpackQueues = typeof Symbol === "function" ? Symbol("webpack queues") : "__webpack_queues__";
/******/ 	var webpackExports = typeof Symbol === "function" ? Symbol("webpack exports") : "__webpack_exports__";
/******/ 	var webpackError = typeof Symbol === "function" ? Symbol("webpack error") : "__webpack_error__";
/******/ 	var resolveQueue = (queue) => {
/******/ 		if(queue && queue.d < 1) {
/******/ 			queue.d = 1;
/******/ 			queue.forEach((fn) => (fn.r--));
/******/ 			queue.forEach((fn) => (fn.r-- ? fn.r++ : fn()));
/******/ 		}
/******/ 	}
/******/ 	var wrapDeps = (deps) => (deps.map((dep) => {
/******/ 		if(dep !== null && typeof dep === "object") {
/******/ 			if(dep[webpackQueues]) return dep;
/******/ 			if(dep.then) {
/******/ 				var queue = [];
/******/ 				queue.d = 0;
/******/ 				dep.then((r) => {
/******/ 					obj[webpackExports] = r;
/******/ 					resolveQueue(queue);
/******/ 				}, (e) => {
/******/ 					obj[webpackError] = e;
/******/ 					resolveQueue(queue);
/******/ 				});
/******/ 				var obj = {};
/******/ 				obj[webpackQueues] = (fn) => (fn(queue));
/******/ 				return obj;
/******/ 			}
/******/ 		}
/******/ 		var ret = {};
/******/ 		ret[webpackQueues] = x => {};
/******/ 		ret[webpackExports] = dep;
/******/ 		return ret;
/******/ 	}));
/******/ 	__nccwpck_require__.a = (module, body, hasAwait) => {
/******/ 		var queue;
/******/ 		hasAwait && ((queue = []).d = -1);
/******/ 		var depQueues = new Set();
/******/ 		var exports = module.exports;
/******/ 		var currentDeps;
/******/ 		var outerResolve;
/******/ 		var reject;
/******/ 		var promise = new Promise((resolve, rej) => {
/******/ 			reject = rej;
/******/ 			outerResolve = resolve;
/******/ 		});
/******/ 		promise[webpackExports] = exports;
/******/ 		promise[webpackQueues] = (fn) => (queue && fn(queue), depQueues.forEach(fn), promise["catch"](x => {}));
/******/ 		module.exports = promise;
/******/ 		body((deps) => {
/******/ 			currentDeps = wrapDeps(deps);
/******/ 			var fn;
/******/ 			var getResult = () => (currentDeps.map((d) => {
/******/ 				if(d[webpackError]) throw d[webpackError];
/******/ 				return d[webpackExports];
/******/ 			}))
/******/ 			var promise = new Promise((resolve) => {
/******/ 				fn = () => (resolve(getResult));
/******/ 				fn.r = 0;
/******/ 				var fnQueue = (q) => (q !== queue && !depQueues.has(q) && (depQueues.add(q), q && !q.d && (fn.r++, q.push(fn))));
/******/ 				currentDeps.map((dep) => (dep[webpackQueues](fnQueue)));
/******/ 			});
/******/ 			return fn.r ? promise : getResult();
/******/ 		}, (err) => ((err ? reject(promise[webpackError] = err) : outerResolve(exports)), resolveQueue(queue)));
/******/ 		queue && queue.d < 0 && (queue.d = 0);
/******/ 	};
/******/ })();
/******/ 
/******/ /* webpack/runtime/compat get default export */
/******/ (() => {
/******/ 	// getDefaultExport function for compatibility with non-harmony modules
/******/ 	__nccwpck_require__.n = (module) => {
/******/ 		var getter = module && module.__esModule ?
/******/ 			() => (module['default']) :
/******/ 			() => (module);
/******/ 		__nccwpck_require__.d(getter, { a: getter });
/******/ 		return getter;
/******/ 	};
/******/ })();
/******/ 
/******/ /* webpack/runtime/define property getters */
/******/ (() => {
/******/ 	// define getter functions for harmony exports
/******/ 	__nccwpck_require__.d = (exports, definition) => {
/******/ 		for(var key in definition) {
/******/ 			if(__nccwpck_require__.o(definition, key) && !__nccwpck_require__.o(exports, key)) {
/******/ 				Object.defineProperty(exports, key, { enumerable: true, get: definition[key] });
/******/ 			}
/******/ 		}
/******/ 	};
/******/ })();
/******/ 
/******/ /* webpack/runtime/hasOwnProperty shorthand */
/******/ (() => {
/******/ 	__nccwpck_require__.o = (obj, prop) => (Object.prototype.hasOwnProperty.call(obj, prop))
/******/ })();
/******/ 
/************************************************************************/
/******/ 
/******/ // startup
/******/ // Load entry module and return exports
/******/ // This entry module used 'module' so it can't be inlined
/******/ var __webpack_exports__ = __nccwpck_require__(598);
/******/ __webpack_exports__ = await __webpack_exports__;
/******/ 
