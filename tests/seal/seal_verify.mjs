// SPDX-License-Identifier: Apache-2.0
// node seal_verify.mjs FOLDER: loads keys, ciphertexts and results that we made for the program, has SEAL run every case
// on our operands, decrypts our results with SEAL, and prints what it found as JSON. Leaves two ciphertexts made by SEAL
// for our secret key in the folder: back_public.seal and back_symmetric.seal, both of the first input's real parts.
import { Folder, Scheme, save } from './seal.mjs';

const folder = new Folder(process.argv[2]);
const { program } = folder;
const scheme = new Scheme(folder);
const { seal, context } = scheme;

// The place of the first byte that differs, the shorter length where one ends early, null where none does.
const firstDifference = (a, b) => {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; ++i) if (a[i] !== b[i]) return i;
  return a.length === b.length ? null : length;
};

const reloaded = [];
// Loads an object of ours; SEAL must write it again as we did.
const load = (make, name) => {
  const bytes = folder.bytes(name);
  const object = scheme.load(make, bytes);
  reloaded.push({ name, difference: firstDifference(save(object), bytes) });
  return object;
};

const secretKey = load(seal.SecretKey, 'secret_key.seal');
const relinKeys = load(seal.RelinKeys, 'relin_keys.seal');
const galoisKeys = load(seal.GaloisKeys, 'galois_keys.seal');
const decryptor = seal.Decryptor(context, secretKey);

// The largest distance from the expected real parts; null where nothing is expected.
const decryptionError = (cipher, expected) => {
  if (expected === null) return null;
  const plain = decryptor.decrypt(cipher);
  const decoded = scheme.encoder.decode(plain);
  plain.delete();
  let largest = 0;
  folder.numbers(expected).forEach((value, i) => {
    const distance = Math.abs(decoded[i] - value);
    if (!(distance <= largest)) largest = distance;  // keeps a NaN
  });
  return largest;
};

const inputs = program.inputs.map((input) => {
  const cipher = load(seal.CipherText, input.name + '.seal');
  const error = decryptionError(cipher, input.expected);
  cipher.delete();
  return { name: input.name, error };
});

const cases = program.cases.map((test) => {
  const ours = load(seal.CipherText, test.name + '.seal');
  const error = decryptionError(ours, test.expected);
  let difference = null;
  if (test.in_seal) {
    const operands = test.operands.map((name) => scheme.load(seal.CipherText, folder.bytes(name + '.seal')));
    const plain = test.plain_scale === null ? null : load(seal.PlainText, test.name + '.plain.seal');
    const result = scheme.run(test, operands, plain, relinKeys, galoisKeys);
    difference = firstDifference(save(result), folder.bytes(test.name + '.seal'));
    if (difference !== null) folder.save(test.name + '.by_seal.seal', result);
    for (const object of [...operands, plain, result]) object?.delete();
  }
  ours.delete();
  return { name: test.name, compared: test.in_seal, difference, error };
});

const [first] = program.inputs;
if (first.expected !== null) {
  const publicKey = seal.KeyGenerator(context, secretKey).createPublicKey();
  const encryptor = seal.Encryptor(context, publicKey, secretKey);
  const plain = scheme.encode(folder.numbers(first.expected), first.scale, first.level);
  folder.save('back_public.seal', encryptor.encrypt(plain));
  folder.save('back_symmetric.seal', encryptor.encryptSymmetric(plain));
}

// JSON has no NaN; an error that is not a number must not look like none.
process.stdout.write(JSON.stringify({ reloaded, inputs, cases }, (key, value) =>
  (typeof value === 'number' && !Number.isFinite(value) ? 1e300 : value)));
