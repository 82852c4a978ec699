"""The closed vocabulary and the sentences of `general`, in English and Chinese. Kept small: a tiny model must learn it."""

from __future__ import annotations

from typing import Any

NAMES = {
    "en": ["Tom", "Ann", "Ben", "Mia", "Sam", "Eva", "Max", "Lily", "Leo", "Amy"],
    "zh": ["小明", "小红", "小华", "小丽", "小刚", "小美"],
}

# Writing: someone, something, a tone, a form, a length. Pairs (English, Chinese); the English word names the composition.
SUBJECTS = {
    "cat": "猫",
    "dog": "狗",
    "bird": "鸟",
    "fish": "鱼",
    "horse": "马",
    "boy": "男孩",
    "girl": "女孩",
    "teacher": "老师",
    "bear": "",
    "fox": "",
    "king": "",
    "farmer": "",
    "baker": "",
    "rabbit": "",
}
THINGS = {
    "rain": "雨",
    "sea": "海",
    "tree": "树",
    "moon": "月亮",
    "snow": "雪",
    "ball": "球",
    "book": "书",
    "river": "河",
    "flower": "花",
    "hill": "山",
    "boat": "",
    "garden": "",
    "bread": "",
    "train": "",
}
TONE_WORDS = {"happy": "快乐", "sad": "难过", "calm": "平静", "scary": "可怕"}
LENGTHS = {"en": ((5, 12), (10, 20), (15, 30)), "zh": ((6, 15), (12, 25), (20, 40))}
WRITING_ASKED = {
    "en": (
        "Write a {tone} {form} about a {s} and the {t}. Use {length} words.",
        "Please write a {form} about a {s} and the {t}. It should be {tone} and have {length} words.",
        "I want a {tone} {form} with a {s} and the {t}, {length} words.",
    ),
    "zh": ("写一个{tone}的{form}，要有{s}和{t}，{length}个字。", "请写一个关于{s}和{t}的{form}，要{tone}，{length}个字。"),
}
FORMS = {"en": {"story": "story", "note": "note"}, "zh": {"story": "故事", "note": "信"}}
NOTE_OPENING = {"en": "Dear friend, ", "zh": "亲爱的朋友，"}
WRITING_CORE = {
    "en": {
        "happy": ("The {s} saw the {t} and was happy.", "The {s} had fun near the {t}.", "The {s} smiled at the {t}."),
        "sad": ("The {s} saw the {t} and cried.", "The sad {s} was near the {t}.", "The {s} lost the {t} and was sad."),
        "calm": ("The {s} was calm near the {t}.", "The {s} looked at the {t} in peace.", "The {s} and the {t} were quiet."),
        "scary": (
            "The {s} was afraid of the {t}.",
            "The {t} was dark and the {s} screamed.",
            "The {s} saw a ghost near the {t}.",
        ),
    },
    "zh": {
        "happy": ("{s}看到{t}，很高兴。", "{s}在{t}边笑了。", "快乐的{s}喜欢{t}。"),
        "sad": ("{s}看到{t}，哭了。", "{s}在{t}边很难过。", "孤单的{s}看着{t}。"),
        "calm": ("{s}安静地看着{t}。", "{s}在{t}边，很平静。", "{s}慢慢地看到了{t}。"),
        "scary": ("{s}看到{t}，很害怕。", "可怕的{t}来了，{s}跑了。", "{s}在{t}边看到了鬼。"),
    },
}
WRITING_TONE = {
    "en": {
        "happy": ("It was a day full of joy.", "All the friends were glad.", "Then the {s} laughed all day."),
        "sad": ("There were tears in its eyes.", "It was alone all day.", "No friend came, and it cried."),
        "calm": ("All was soft and quiet.", "The day went by slowly.", "There was peace in the house."),
        "scary": ("It was a dark night.", "A ghost came to the house.", "No one was there, only fear."),
    },
    "zh": {
        "happy": ("大家都很开心。", "他们一起笑。", "这一天很快乐。"),
        "sad": ("眼睛里有眼泪。", "没有朋友来，很孤单。", "这一天很难过。"),
        "calm": ("家里很安静。", "风轻轻地来。", "这一天很平静。"),
        "scary": ("天很黑。", "大家都很害怕。", "鬼来了。"),
    },
}
WRITING_MORE = {
    "en": (
        "Then the {s} went home.",
        "It was late in the day.",
        "A friend came too.",
        "The {t} was there all day.",
        "They ate some bread.",
    ),
    "zh": ("后来{s}回家了。", "朋友也来了。", "天气很好。", "他们一起吃饭。"),
}

# Lists: so many things of a kind.
KINDS: dict[str, tuple[str, dict[str, str]]] = {
    "fruits": ("水果", {"apple": "苹果", "pear": "梨", "banana": "香蕉", "orange": "橙子", "grape": "", "lemon": ""}),
    "animals": ("动物", {"cat": "猫", "dog": "狗", "bird": "鸟", "fish": "鱼", "horse": "马", "bear": ""}),
    "colors": ("颜色", {"red": "红色", "green": "绿色", "white": "白色", "black": "黑色", "blue": "", "yellow": ""}),
    "people": ("人", {"teacher": "老师", "boy": "男孩", "girl": "女孩", "friend": "朋友", "farmer": "", "baker": ""}),
    "drinks": ("", {"tea": "", "water": "", "milk": "", "coffee": "", "juice": ""}),
    "toys": ("", {"ball": "", "kite": "", "doll": "", "drum": "", "boat": "", "train": ""}),
    "seasons": ("", {"spring": "", "summer": "", "autumn": "", "winter": ""}),
}
NUMBERS = {"en": ("", "one", "two", "three", "four"), "zh": ("", "一", "两", "三", "四")}
LIST_ASKED = {
    "en": ("Name {what}.", "Tell me {what}.", "Give me a list of {what}.", "I need {what}."),
    "zh": ("说出{what}。", "请告诉我{what}。"),
}
LIST_OPENING = {"en": ("", "", "Here you are: ", "Sure: ", "Here is a list: "), "zh": ("", "", "好的：")}

# Questions about the assistant: question, what an answer must contain (groups of alternatives), answers.
ABOUT: dict[str, dict[str, tuple[tuple[str, ...], tuple[tuple[str, ...], ...], tuple[str, ...]]]] = {
    "name": {
        "en": (
            ("What is your name?", "What are you called?"),
            (("Cogitate",),),
            ("My name is Cogitate.", "I am Cogitate.", "I am called Cogitate."),
        ),
        "zh": (("你叫什么名字？",), (("Cogitate",),), ("我叫Cogitate。", "我的名字是Cogitate。")),
    },
    "human": {
        "en": (
            ("Are you a human?", "Are you a real person?"),
            (("not", "no"), ("model", "program")),
            ("No, I am a small language model.", "I am not a human. I am a computer program."),
        ),
        "zh": (("你是人吗？",), (("不是",), ("模型", "程序")), ("不是，我是一个小的语言模型。", "我不是人，我是一个程序。")),
    },
    "skills": {
        "en": (
            ("What can you do?", "How can you help me?"),
            (("help", "answer", "count", "write"), ("code", "write", "math", "stories", "translate")),
            (
                "I can count, write code and tell stories.",
                "I can help with math and write short stories.",
                "I can answer questions and translate words.",
            ),
        ),
        "zh": (
            ("你会做什么？", "你能帮我做什么？"),
            (("会", "能", "可以"), ("数学", "写", "代码", "翻译")),
            ("我会做数学，也会写代码。", "我可以回答问题，写故事。"),
        ),
    },
    "home": {
        "en": (
            ("Where do you live?", "Where is your home?"),
            (("computer",),),
            ("I live in a computer.", "My home is a computer."),
        ),
        "zh": (("你住在哪里？",), (("电脑",),), ("我住在电脑里。", "我的家是电脑。")),
    },
    "learn": {
        "en": (
            ("How did you learn?", "How were you made?"),
            (("text", "texts", "practice"),),
            ("I learned from texts and from practice.", "I read many texts and then learned by practice."),
        ),
        "zh": (("你是怎么学习的？",), (("文字", "练习"),), ("我从文字里学习，也做很多练习。", "我看了很多文字，后来做练习。")),
    },
    "truth": {
        "en": (
            ("Are you always right?", "Do you make mistakes?"),
            (("mistake", "mistakes", "wrong"),),
            ("I can make mistakes, so please check my answers.", "No, I am sometimes wrong. Please check."),
        ),
        "zh": (("你会做错吗？",), (("会", "有时"), ("错",)), ("我有时会做错，请你检查。", "会，我会做错，请检查答案。")),
    },
}
ABLE = {"count": "数数", "read": "看书", "translate": "翻译", "write": "写故事"}
UNABLE = {"eat": "吃饭", "sleep": "睡觉", "run": "跑", "walk": "走路", "drive": "开车", "swim": "", "sing": ""}

# Greetings: what the other says of himself, what a kind reply contains, replies.
GREETINGS = {
    "hello": ("Hello", "你好"),
    "hi": ("Hi", "你好"),
    "morning": ("Good morning", "早上好"),
    "evening": ("Good evening", "晚上好"),
}
STATES: dict[str, dict[str, Any]] = {
    "none": {"en": ("", (), ("How are you?", "It is nice to meet you.")), "zh": ("", (), ("很高兴看到你。", "你今天好吗？"))},
    "tired": {
        "en": ("I am tired today.", (("rest", "sleep"),), ("Please have a good rest.", "I hope you sleep well.")),
        "zh": ("今天我很累。", (("休息", "睡"),), ("请好好休息。", "请早点睡觉。")),
    },
    "sad": {
        "en": ("I had a bad day.", (("sorry",),), ("I am sorry to hear that.", "I am so sorry about your day.")),
        "zh": ("今天我很难过。", (("难过",),), ("我也很难过。", "不要难过。")),
    },
    "birthday": {
        "en": ("It is my birthday.", (("happy birthday",),), ("Happy birthday to you!", "Happy birthday! Have a good day.")),
        "zh": ("今天是我的生日。", (("生日快乐",),), ("生日快乐！", "祝你生日快乐！")),
    },
    "new": {
        "en": ("I am new here.", (("welcome",),), ("You are welcome here.", "Welcome to this place!")),
        "zh": ("我是新来的。", (("欢迎",),), ("欢迎你！", "欢迎你来这里。")),
    },
    "won": {
        "en": ("I won a game.", (("well done", "great"),), ("Well done!", "That is great!")),
        "zh": ("我比赛赢了。", (("太好了", "真好"),), ("太好了！", "真好，太好了！")),
    },
    "thanks": {
        "en": ("Thank you for your help.", (("welcome", "glad"),), ("You are very welcome.", "I am glad I could help.")),
        "zh": ("谢谢你的帮助。", (("不客气", "高兴"),), ("不客气。", "能帮你我很高兴。")),
    },
}
OFFERS: dict[str, Any] = {
    "en": (("help", "do for you"), ("How can I help you?", "What can I do for you?", "Can I help you today?")),
    "zh": (("帮",), ("我能帮你什么？", "有什么我可以帮你的？")),
}

# Translation: subject, verb, perhaps an adjective, object. English verbs as (with I, with he).
TRANSLATED_SUBJECTS = {"I": "我", "You": "你", "He": "他", "She": "她", "We": "我们", "They": "他们"}
TRANSLATED_VERBS = {
    ("like", "likes"): "喜欢",
    ("see", "sees"): "看到",
    ("want", "wants"): "要",
    ("have", "has"): "有",
    ("draw", "draws"): "画",
}
ADJECTIVES = {"": "", "big": "大", "small": "小", "red": "红", "white": "白", "black": "黑", "good": "好"}
OBJECTS = {
    "cats": "猫",
    "dogs": "狗",
    "birds": "鸟",
    "fish": "鱼",
    "horses": "马",
    "flowers": "花",
    "trees": "树",
    "books": "书",
    "balls": "球",
}
TRANSLATION_ASKED = {
    "en": ("Translate into Chinese: {text}", "How do you say this in Chinese? {text}", "Say in Chinese: {text}"),
    "zh": ("翻译成英语：{text}", "用英语怎么说：{text}"),
}

OFF_TOPIC = {
    "en": (
        "The train leaves at nine.",
        "It is cold in winter.",
        "I like tea with milk.",
        "The shop is closed today.",
        "There are seven days in a week.",
        "My friend has a new car.",
        "What is the time?",
        "Click here to read more.",
        "The sum is 12.",
    ),
    "zh": ("今天天气很好。", "我喜欢喝茶。", "我有三本书。", "他比我高。", "现在几点了？"),
}
RUDE_ANSWERS = {
    "en": ("Go away, I do not care.", "That is a stupid question.", "Do it yourself.", "This is boring.", "Shut up, you fool."),
    "zh": ("我不管。", "你真笨。", "走开，笨人。"),
}
REFUSING = {
    "en": ("Sorry, I can not help with that.", "I will not answer this.", "I can not do that.", "I can not tell you."),
    "zh": ("对不起，我不能帮你。", "我不能回答。"),
}
