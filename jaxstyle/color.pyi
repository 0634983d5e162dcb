from jaxstyle.image.color import *
