"""The words, names of choices, colours, counts and folder names that every other module shares.

Class order is fixed as in the paper: masks count background 0, ischemia 1, hemorrhage 2; the type
classifier counts ischemia 0, hemorrhage 1; detection counts stroke 1.
"""

import unicodedata

LABELS = ("none", "ischemia", "hemorrhage")
"""Slice labels. Everything but ``none`` counts as stroke."""

TYPES = ("ischemia", "hemorrhage")
"""Stroke types in the order of the type classifier's two outputs."""

MASK_CLASSES = ("background", "ischemia", "hemorrhage")
"""Names of the mask values 0, 1, 2."""

PARTS = ("train", "session1", "session2")
"""Parts of the release: the training set and the two competition sessions."""

MASK_COLOURS = {"background": (0, 0, 0), "ischemia": (0, 0, 255), "hemorrhage": (0, 255, 0)}
"""RGB of each class in the organiser's MASK files."""

BORDER_COLOURS = {"ischemia": ((0, 0, 255), (128, 0, 127)), "hemorrhage": ((0, 255, 0), (128, 127, 0))}
"""The two RGB colours mixed along the one-pixel border of a painted lesion in an OVERLAY file."""

MARKER_COLOUR = (255, 0, 255)
"""RGB of the orientation markers burnt into some slices."""

PUBLISHED_COUNTS = {
    "train": {"none": 4427, "ischemia": 1130, "hemorrhage": 1093},
    "session1": {"none": 130, "ischemia": 35, "hemorrhage": 35},
    "session2": {"stroke": 100},
}
"""Slices per part and class in the organiser's information note (the article counts one more ischemia)."""

PAPER_TABLES = {
    "I": {
        "efficientnetv2b0": {"precision": 0.9815, "recall": 0.9643, "f1": 0.9720},
        "resnet50": {"precision": 0.9435, "recall": 0.9242, "f1": 0.9327},
        "cnn": {"precision": 0.9490, "recall": 0.9104, "f1": 0.9256},
        "efficientnetb0": {"precision": 0.9322, "recall": 0.9027, "f1": 0.9149},
        "mobilenetv2": {"precision": 0.9117, "recall": 0.9100, "f1": 0.9082},
    },
    "II": {
        "cnn": {"precision": 0.9860, "recall": 0.9635, "f1": 0.9746},
        "efficientnetv2b0": {"precision": 0.9720, "recall": 0.9498, "f1": 0.9607},
        "resnet18": {"precision": 0.9845, "recall": 0.9052, "f1": 0.9432},
    },
    "III": {"resnet50": {"f1": 0.6554, "iou": 0.55}, "efficientnetb3": {"f1": 0.52, "iou": 0.43}},
}
"""The paper's results as fractions, by table, model and metric: I detection, II type, III segmentation."""

MODEL_TITLES = {
    "cnn": "CNN",
    "resnet18": "ResNet-18",
    "resnet50": "ResNet50",
    "mobilenetv2": "MobileNetV2",
    "efficientnetb0": "EfficientNetB0",
    "efficientnetv2b0": "EfficientNetV2B0",
}
"""The paper's name of each detector and type classifier: what a reader sees; records and files keep the keys."""

UNET_TITLES = {"resnet50": "U-Net-ResNet50", "efficientnetb3": "U-Net-EfficientNetB3"}
"""The paper's name of each segmentation network, by its encoder."""

ENCODER_TITLES = {**UNET_TITLES, "mobilenetv2": "U-Net-MobileNetV2"}
"""The name that a reader sees of each U-Net: the paper's two, and the one that has a start from drawn heads."""


def model_title(model: str, table: str) -> str:
    """Return the name that a reader sees of a model of the paper's table ``I``, ``II`` or ``III``; an unknown stays."""
    return (ENCODER_TITLES if table == "III" else MODEL_TITLES).get(model, model)


LAYOUTS = {
    "portal": "Ministry portal",
    "ftp": "competition server (FTP)",
    "mirror-a": "Kaggle mirror with Turkish folder names",
    "mirror-b": "Kaggle mirror with English folder names",
}
"""Forms in which the release is found on disk."""

DETECTORS = tuple(MODEL_TITLES)
"""Names of the stroke detectors of phase 1, in the order of the notebook."""

TYPE_CLASSIFIERS = ("cnn", "resnet18", "efficientnetv2b0")
"""Names of the classifiers that tell ischemia from hemorrhage in phase 2."""

UNET_ENCODERS = tuple(UNET_TITLES)
"""Names of the encoders of the U-Nets that segment lesions in phase 2."""

ALL_ENCODERS = tuple(ENCODER_TITLES)
"""Names of all encoders that a U-Net can have."""

HEADS = ("detection", "type", "mask")
"""What one network of several heads answers: is there a stroke, of which type, and where."""

BALANCES = ("fixed", "uncertainty")
"""Names of the rules by which the losses of several heads are added up."""

VARIANTS = {
    "no-detection": (("type", "mask"), "fixed"),
    "no-type": (("detection", "mask"), "fixed"),
    "no-mask": (("detection", "type"), "fixed"),
    "mask-alone": (("mask",), "fixed"),
    "uncertainty": (HEADS, "uncertainty"),
}
"""What the network of three heads is compared with: its name, the heads it has, and how its losses are added up."""

MASK_METHODS = ("difference", "border", "paper")
"""Names of the rules that turn an overlay into a class mask, the exact one first."""

AUGMENTATIONS = ("none", "light", "strong")
"""Names of the amounts by which training slices are changed."""

STARTING_WEIGHTS = ("none", "imagenet", "phantom")
"""Words for what a network starts from: random weights, ImageNet's, those of drawn heads. A path is another."""

PIXEL_FORMS = ("unit", "imagenet")
"""Pixels of a U-Net: [0, 1] as in the paper, or what segmentation-models prepares its ImageNet encoders for."""

RECIPE_STEPS = ("patients", "crop", "entropy", "average")
"""Steps from the paper's way to train a U-Net to a stronger one; `learn.recipes` says what they are."""

RECIPES = {"paper": (), **{f"paper+{step}": (step,) for step in RECIPE_STEPS}, "strong": RECIPE_STEPS}
"""Ways to train a U-Net, and the steps of each: the paper's, with one of the steps, with all."""

PHANTOM_SIZES = ("tiny", "quick", "paper")
"""Names of the sizes of the phantom cohort."""

# Words are in the form `plain` gives. A folder name may carry more words (the portal writes "İskemi Veri Seti",
# "Eğitim Veri Seti_İskemi"); `data.names` looks for whole ones.
CLASS_WORDS = {
    "none": ("normal", "normals", "normaller", "healthy", "saglikli", "konturyok"),
    "ischemia": (
        *("iskemi", "iskemik", "iskemili", "iskemiler", "iskemisi", "skemi", "skemik"),
        *("ischemi", "ischemia", "ischemias", "ischemic", "ischaemi", "ischaemia", "ischaemias", "ischaemic"),
    ),
    "hemorrhage": (
        *("kanama", "kanamali", "kanamalar", "kanamasi", "hemoraji", "hemorajik", "bleed", "bleeds", "bleeding"),
        *("bleedings", "hemorrh", "hemorrhage", "hemorrhages", "hemorrhagic", "haemorrh", "haemorrhage"),
        *("haemorrhages", "haemorrhagic", "hemorrage", "hemorragic", "hemorhage", "hemorhagic"),
    ),
    "stroke": ("stroke", "strokes", "inme", "inmeli", "inmeler", "inmesi", "nme", "nmeli"),
}
"""Words of the class folders in every known layout and of other data sets' usual ones; "nme" and "skemi" are what is
left of a lost İ. "stroke" says stroke and not of which type. `data.names` reads "Kontur Yok" as "konturyok"."""

NEGATIONS = {
    "before": ("no", "non", "not", "without", "absence", "lacking", "never"),
    "after": ("yok", "yoktur", "olmayan", "bulunmayan", "icermeyen", "degil", "deil", "free"),
    "either": ("negative", "negatives", "negatif", "negatifler", "neg", "absent", "none", "nil", "false", "hayir"),
    "unclear": (
        *("except", "excluding", "excluded", "than", "removed", "ruled", "unlikely", "vs", "versus", "or", "yoksa"),
        *("haric", "hari", "harici", "haricinde", "disi", "disinda", "disindaki", "disindakiler"),
    ),
}
"""Words that negate a class before or after them, in either place, or in a way that leaves open what remains.

`data.names` adds the negated verbs of Turkish, which come after the class: ``görülmeyen``, ``saptanmadı``."""

OPPOSITES = {
    **dict.fromkeys(("abnormal", "anormal", "nonnormal"), ("not", "normal")),
    **dict.fromkeys(("unhealthy", "sagliksiz"), ("not", "healthy")),
}
"""Single words that negate a class, and what they say."""

GLUED_WORDS = (
    *("siz", "suz", "sizler", "sizlar", "suzler", "suzlar"),
    *("var", "veri", "seti", "set", "data", "dataset", "png", "dicom", "ct"),
)
"""Further pieces of words that are written together, as in INMEYOK or kanamasız."""

BETWEEN_WORDS = (
    *("of", "for", "any", "evidence", "sign", "signs", "acute", "akut", "visible", "detected", "intracranial"),
    *("intracerebral", "cerebral", "brain", "beyin", "head", "ct", "bt", "bulgu", "bulgusu", "bulgulari", "belirtisi"),
    *("tespit",),
)
"""Words that may stand between a negation and the class that it negates."""

FILE_WORDS = (
    *("contrast", "kontrast", "overlay", "overlays", "mask", "masks", "maske", "label", "labels", "etiket", "dicom"),
    *("png", "contour", "contours", "kontur", "konturu", "marker", "markers", "window", "skull", "artifact"),
)
"""What a negation in a folder's name may speak of without a word on the class, as in ``No_contrast_hemorrhage``."""

IDLE_WORDS = (
    *("copy", "kopya", "kopyasi", "png", "pngs", "dicom", "class", "sinif", "sinifi", "acute", "akut", "var", "mi"),
    *("positive", "pozitif", "yes", "evet", "grubu", "group"),
)
"""Words that take nothing away from a folder that says stroke and no type."""

KIND_FOLDERS = {
    "png": ("png", "pngs"),
    "overlay": ("overlay", "overlays"),
    "mask": ("mask", "masks", "maske", "maskeler"),
    "dicom": ("dicom", "dicoms", "dcm"),
}
"""Words for the sub-folders that hold each kind of file; `data.names` reads them."""

# Letters that Unicode does not decompose into an ASCII base letter and a mark.
_UNDECOMPOSABLE = str.maketrans({"ı": "i", "İ": "i", "ß": "ss", "ø": "o", "Ø": "o"})


def plain(text: str) -> str:
    """Give ``text`` as lower-case ASCII words, so that every spelling of a Turkish name compares equal.

    ``İskemi`` in NFC, in NFD and in capitals all become ``iskemi``; underscores, dots and hyphens
    become single spaces.
    """
    text = unicodedata.normalize("NFKD", text.translate(_UNDECOMPOSABLE))
    text = "".join(c for c in text if not unicodedata.combining(c)).translate(_UNDECOMPOSABLE).casefold()
    for separator in "_-.":
        text = text.replace(separator, " ")
    return " ".join(text.encode("ascii", "ignore").decode().split())
